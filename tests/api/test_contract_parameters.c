#include "tests/api/suite.h"
int
suite_contract_parameters(void)
{
    return 0;
}
