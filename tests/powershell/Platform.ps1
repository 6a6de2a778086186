# Where the tests run, for those that hold on some systems alone. Read while tests are looked for, and in BeforeAll by a
# file whose tests ask themselves.

# Linux or macOS: .NET has but a copy of the environment there, and keyrings are another matter.
$onUnix = [System.Environment]::OSVersion.Platform -eq 'Unix'

# Wine 8 in place of Windows. .NET crashes or hangs there after any library that does not load, and certificates are
# checked against the system's roots alone.
$onWine = [bool] $env:USS_TEST_BRIDGE
