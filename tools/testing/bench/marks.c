// SPDX-License-Identifier: GPL-2.0

#include "clock.h"

void count_begin(void)
{
}

void count_end(void)
{
}
