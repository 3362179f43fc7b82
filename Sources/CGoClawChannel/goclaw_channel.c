#include "goclaw_channel.h"
