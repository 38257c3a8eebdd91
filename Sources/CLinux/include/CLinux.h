#pragma once
#include "CLinuxEvents.h"
#include "CLinuxIdentity.h"
#include "CLinuxProcess.h"
#include "CLinuxTerminal.h"
