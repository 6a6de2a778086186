@{
    RootModule             = 'Uss.psm1'
    ModuleVersion          = '0.1.0'
    GUID                   = '7d1c5c6e-2f0b-4f7e-9a86-3b0f1e8a4c55'
    Author                 = 'The uss contributors'
    CompanyName            = 'The uss contributors'
    Copyright              = 'MIT OR Apache-2.0'
    Description            = 'Copies packages and installers between Update Service servers, signed in with personal access tokens, and manages those.'
    PowerShellVersion      = '5.1'
    DotNetFrameworkVersion = '4.7.2'
    CompatiblePSEditions   = 'Desktop', 'Core'
    FunctionsToExport      = @(
        'Connect-UssServer', 'Disconnect-UssServer', 'Get-UssConnection', 'Get-UssPackage', 'Get-UssPackageVersion'
        'Resolve-UssDependency', 'Copy-UssPackageFromServer', 'Get-UssInstaller', 'Copy-UssInstallerFromServer'
        'Save-UssPackage', 'Import-UssPackage', 'New-UssPackage', 'Remove-UssPackage', 'Test-UssPackage', 'Invoke-UssMethod'
        'Get-UssPersonalToken', 'New-UssPersonalToken', 'Set-UssPersonalToken', 'Reset-UssPersonalToken', 'Copy-UssPersonalToken'
        'Revoke-UssPersonalToken', 'Remove-UssPersonalToken'
    )
    CmdletsToExport        = @()
    VariablesToExport      = @()
    AliasesToExport        = @('Resolve-UssDependencies')
    PrivateData            = @{
        PSData = @{
            Tags = 'PackageManagement', 'UpdateService', 'Copy', 'Windows', 'Linux', 'MacOS'
        }
    }
}
