/* Mixes details that are no text with some that are not fit to be shown as they are. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    static char long_value[5000];
    static char huge_value[100000];
    goclaw_text nothing = {NULL, 12};
    goclaw_text endless = {"x", SIZE_MAX};
    UNUSED(instance);
    UNUSED(claim);
    memset(long_value, 'x', sizeof long_value - 1);
    memset(huge_value, 'x', sizeof huge_value - 1);
    if (sink->detail(sink, zoo_text("Broken"), zoo_text("\xff\xfe")) != GOCLAW_INVALID) return GOCLAW_FAILED;
    if (sink->detail(sink, zoo_text("Null"), nothing) != GOCLAW_INVALID) return GOCLAW_FAILED;
    if (sink->detail(sink, zoo_text("Endless"), endless) != GOCLAW_INVALID) return GOCLAW_FAILED;
    if (sink->detail(sink, zoo_text("Huge"), zoo_text(huge_value)) != GOCLAW_INVALID) return GOCLAW_FAILED;
    sink->detail(sink, zoo_text("Reversed"), zoo_text("a\xe2\x80\xae" "b\x1b[31m\n<script>"));
    sink->detail(sink, zoo_text(long_value), zoo_text(long_value));
    return GOCLAW_OK;
}

ZOO_ENTRY(table->review = review)
