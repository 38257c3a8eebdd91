#pragma once
#include "CLinuxEvents.h"
#include "CLinuxIdentity.h"
#include "CLinuxNetwork.h"
#include "CLinuxProcess.h"
#include "CLinuxSignals.h"
#include "CLinuxSockets.h"
#include "CLinuxTerminal.h"
