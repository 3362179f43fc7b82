#ifndef GOCLAW_CHANNEL_H
#define GOCLAW_CHANNEL_H
#endif
