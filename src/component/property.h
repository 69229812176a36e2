/*
 * Properties and configuration settings: one table, one way to read and set each.
 *
 * The generated property functions call in here.
 */
#ifndef COMPONENT_PROPERTY_H
#define COMPONENT_PROPERTY_H

#include "generated/properties.h"
#include "tenon.h"

void properties_init(struct properties *properties);

int64_t property_number(tenon_volume *volume, enum property_id id);
const char *property_text(tenon_volume *volume, enum property_id id);
/* 0, EINVAL, EBUSY or EOPNOTSUPP, with the volume's last error set. */
int property_set_number(tenon_volume *volume, enum property_id id, int64_t value);
int property_set_text(tenon_volume *volume, enum property_id id, const char *value);

#endif
