#pragma once
#include "CLinuxIdentity.h"
