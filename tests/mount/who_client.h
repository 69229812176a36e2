/*
 * The user and group that who_client becomes when it is told to drop.
 *
 * Numbers that no system gives to anybody.
 */
#ifndef TESTS_WHO_CLIENT_H
#define TESTS_WHO_CLIENT_H

#define USER 12345
#define GROUP 23456

#endif
