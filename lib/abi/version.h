/* What this is, for people. */
#pragma once

#define RINGFENCE_VERSION "0.4"
