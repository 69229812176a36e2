/*
 * What every cmocka test of the memory drive includes, in the order in which cmocka wants it.
 */
#ifndef MEMORY_UNIT_H
#define MEMORY_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
