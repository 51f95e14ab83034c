#include "tests/api/suite.h"
int suite_contract_bodies(void) { return 0; }
