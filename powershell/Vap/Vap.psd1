@{
    RootModule             = 'Vap.psm1'
    ModuleVersion          = '0.1.0'
    GUID                   = '3b8f6f0e-6a3c-4d8a-9a55-1f7f3c9f2e61'
    Author                 = 'The uss contributors'
    CompanyName            = 'The uss contributors'
    Copyright              = 'MIT OR Apache-2.0'
    Description            = 'Calls a Virtuozzo Application Platform, signed in with access tokens: environments, tokens, and any of its methods.'
    PowerShellVersion      = '5.1'
    DotNetFrameworkVersion = '4.7.2'
    CompatiblePSEditions   = 'Desktop', 'Core'
    FunctionsToExport      = @(
        'Connect-VapPlatform', 'Disconnect-VapPlatform', 'Get-VapConnection', 'Invoke-VapMethod', 'Get-VapEnvironment'
        'Start-VapEnvironment', 'Stop-VapEnvironment', 'Restart-VapEnvironment', 'Get-VapToken', 'New-VapToken'
        'Set-VapToken', 'Copy-VapToken', 'Reset-VapToken', 'Remove-VapToken', 'Get-VapTokenScope'
    )
    CmdletsToExport        = @()
    VariablesToExport      = @()
    AliasesToExport        = @()
    PrivateData            = @{
        PSData = @{
            Tags = 'Virtuozzo', 'Platform', 'Environment', 'Windows', 'Linux', 'MacOS'
        }
    }
}
