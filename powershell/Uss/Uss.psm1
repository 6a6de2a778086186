# The cmdlets of module Uss. Each binds its parameters, runs one native command, and writes objects and errors.
# Session.psm1 does that for all of them; include/uss.h documents the commands and their fields.
Set-StrictMode -Version Latest

if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    throw 'The module Uss needs the full language mode: sign its files by a publisher whom the application control policy trusts, or have the policy allow the module''s folder.'
}

function Initialize-Uss {
    # Loads what the cmdlets stand on, at the first call: a script that imports Uss pays little more than for an empty
    # module.
    Import-Module "$PSScriptRoot/Session.psm1" -Verbose:$false
    $script:Loaded = $true
}

$script:Loaded = $false

function Use-UssPreference {
    # Dot-sourced: whoever calls it has the -WhatIf and -Confirm of the script that called, as in a compiled cmdlet. The
    # functions of a module see no more than global preferences by themselves, and `.\deploy.ps1 -WhatIf` would be meant
    # in earnest.
    param($Cmdlet, $Bound)
    $caller = $Cmdlet.SessionState.PSVariable
    if (-not $Bound.ContainsKey('WhatIf')) { $WhatIfPreference = $caller.GetValue('WhatIfPreference') }
    if (-not $Bound.ContainsKey('Confirm')) { $ConfirmPreference = $caller.GetValue('ConfirmPreference') }
}

function Complete-UssArgument {
    Import-Module "$PSScriptRoot/Completion.psm1" -Verbose:$false
    Complete-UssWord @args
}

# ---- Connections

function Connect-UssServer {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.Connection')]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [Parameter(Position = 1)] [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile,
        [string] $Proxy,
        [object] $ProxyCredential,
        [switch] $NoProxy,
        [string] $CertificateAuthority,
        [switch] $Remember
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    end { Add-UssConnection $PSCmdlet $PSBoundParameters }
}

function Disconnect-UssServer {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [switch] $Forget
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    end { Remove-UssConnection $PSCmdlet $PSBoundParameters }
}

function Get-UssConnection {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.Connection')]
    param()
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    end { Read-UssConnection }
}

# ---- Packages

function Get-UssPackage {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.Package')]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string[]] $Id,
        [string] $Search,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    end { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'packages' }
}

function Get-UssPackageVersion {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.PackageVersion')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $PackageId,
        [Parameter(Position = 1)] [Alias('Version')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string] $VersionQuery,
        [switch] $All,
        [switch] $IncludeDependencies,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    process { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'versions' $PackageId }
}

function Resolve-UssDependency {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.PackageVersion')]
    [Alias('Resolve-UssDependencies')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $PackageId,
        [Parameter(Position = 1)] [Alias('Version')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string] $VersionQuery,
        [switch] $IncludeOptional,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        if (-not $script:Loaded) { Initialize-Uss }
        $packages = [System.Collections.ArrayList] @()
    }
    process { $packages.AddRange($PackageId) }
    end { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'resolve' $packages }
}

function Copy-UssPackageFromServer {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Uss.CopyResult')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $PackageId,
        [Parameter(Position = 1)] [Alias('Version')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string] $VersionQuery,
        [Parameter(Mandatory)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $SourceServer,
        [object] $SourceCredential,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile,
        [switch] $Force,
        [switch] $SkipDependencyCheck,
        [switch] $IncludeOptional,
        [int] $ThrottleLimit,
        [long] $MaxBytesPerSecond,
        [switch] $CleanUp
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Uss }
        $packages = [System.Collections.ArrayList] @()
    }
    process { $packages.AddRange($PackageId) }
    end { Invoke-UssCopy $PSCmdlet $PSBoundParameters 'plan-copy' $WhatIfPreference $packages }
}

function Save-UssPackage {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType([System.IO.FileInfo])]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $PackageId,
        [Parameter(Position = 1)] [Alias('Version')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string] $VersionQuery,
        [Parameter(Position = 2)] [string] $Path = '.',
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile,
        [switch] $Force,
        [switch] $SkipDependencyCheck,
        [switch] $IncludeOptional,
        [int] $ThrottleLimit,
        [long] $MaxBytesPerSecond,
        [switch] $CleanUp
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Uss }
        $packages = [System.Collections.ArrayList] @()
    }
    process { $packages.AddRange($PackageId) }
    end {
        [void] $PSBoundParameters.Remove('Path')
        $PSBoundParameters['OutputDir'] = $Path
        Invoke-UssCopy $PSCmdlet $PSBoundParameters 'plan-save' $WhatIfPreference $packages | ForEach-Object {
            if ($_.PSTypeNames[0] -eq 'Uss.PackageFile') { [System.IO.FileInfo]::new($_.Path) } else { $_ }
        }
    }
}

function Import-UssPackage {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium', DefaultParameterSetName = 'Path')]
    [OutputType('Uss.CopyResult')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName, ParameterSetName = 'Path')] [string[]] $Path,
        [Parameter(Mandatory, ValueFromPipelineByPropertyName, ParameterSetName = 'LiteralPath')] [Alias('PSPath', 'FullName')] [string[]] $LiteralPath,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile,
        [switch] $Force,
        [switch] $SkipDependencyCheck,
        [int] $ThrottleLimit,
        [long] $MaxBytesPerSecond,
        [switch] $CleanUp
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Uss }
        $files = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($pattern in $Path) {
            # A file of that very name is meant before the pattern: what has a Path, as New-UssPackage's object, may have
            # brackets in it. What is wrong with it is said when the files are read.
            $provider = $null
            $found = @($PSCmdlet.GetUnresolvedProviderPathFromPSPath($pattern))
            if (-not [System.IO.File]::Exists($found[0])) {
                try { $found = @($PSCmdlet.GetResolvedProviderPathFromPSPath($pattern, [ref] $provider)) }
                catch [System.Management.Automation.ItemNotFoundException] { $provider = $null }
            }
            $files.AddRange($found)
        }
        foreach ($literal in $LiteralPath) { [void] $files.Add($PSCmdlet.GetUnresolvedProviderPathFromPSPath($literal)) }
    }
    end {
        foreach ($name in 'Path', 'LiteralPath') { [void] $PSBoundParameters.Remove($name) }
        $PSBoundParameters['InputPath'] = $files
        if ($files.Count) { Invoke-UssCopy $PSCmdlet $PSBoundParameters 'plan-import' $WhatIfPreference }
    }
}

function New-UssPackage {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Uss.PackageFile')]
    param(
        [Parameter(Mandatory, Position = 0)] [string] $Id,
        [Parameter(Mandatory, Position = 1)] [string] $Version,
        [string] $Name,
        [string] $DisplayName,
        [string] $Description,
        [Parameter(Position = 2)] [string] $OutputDir = '.',
        [string[]] $InputPath,
        [object[]] $Dependencies,
        [switch] $Force
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Uss }
    }
    end {
        $PSBoundParameters['OutputDir'] = $OutputDir
        if ($PSCmdlet.ShouldProcess($PSCmdlet.GetUnresolvedProviderPathFromPSPath($OutputDir), "Create package $Id $Version")) {
            Invoke-UssLocalCommand $PSCmdlet $PSBoundParameters 'new-package'
        }
    }
}

function Remove-UssPackage {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $PackageId,
        [Parameter(Position = 1)] [Alias('Version')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string] $VersionQuery,
        [switch] $All,
        [switch] $Force,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Uss }
        Import-Module "$PSScriptRoot/Command.psm1" -Verbose:$false
        if ($Force -and -not $PSBoundParameters.ContainsKey('Confirm')) { $ConfirmPreference = 'None' }
        [void] $PSBoundParameters.Remove('Force')
        $from = Find-UssServer $PSCmdlet $PSBoundParameters $Server
        if ($from -isnot [string]) { $from = $from.Server }
        $packages = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($element in $PackageId) {
            $id, $version = Read-UssElement $PSCmdlet $PSBoundParameters $element
            if ($All) { $version = '' }
            $what = if ($All) { "$id, all versions" } else { "$id $version" }
            if ($PSCmdlet.ShouldProcess("$what on $from", 'Remove package')) { [void] $packages.Add(@{ Id = $id; Version = $version }) }
        }
    }
    end { if ($packages.Count) { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'remove' $packages } }
}

function Test-UssPackage {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('bool')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $PackageId,
        [Parameter(Position = 1)] [Alias('Version')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string] $VersionQuery,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    process { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'test' $PackageId }
}

# ---- Installers

function Get-UssInstaller {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.Installer')]
    param(
        [Parameter(Position = 0)] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [guid[]] $InstallerId,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string[]] $Name,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    end { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'installers' }
}

function Copy-UssInstallerFromServer {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium', DefaultParameterSetName = 'Id')]
    [OutputType('Uss.CopyResult')]
    param(
        [Parameter(Mandatory, Position = 0, ParameterSetName = 'Id')] [Alias('Id')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [guid[]] $InstallerId,
        [Parameter(Mandatory, ParameterSetName = 'Name')] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string[]] $Name,
        [Parameter(Mandatory)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $SourceServer,
        [object] $SourceCredential,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile,
        [switch] $Force,
        [int] $ThrottleLimit,
        [long] $MaxBytesPerSecond,
        [switch] $CleanUp
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Uss }
    }
    end { Invoke-UssCopy $PSCmdlet $PSBoundParameters 'plan-copy-installer' $WhatIfPreference }
}

# ---- Personal tokens

function Initialize-UssToken {
    # Loads what the cmdlets of tokens stand on, and says which server it is about.
    param($Cmdlet, $Bound)
    if (-not $script:Loaded) { Initialize-Uss }
    Import-Module "$PSScriptRoot/PersonalToken.psm1" -Verbose:$false
    Find-UssTokenServer $Cmdlet $Bound
}

function Get-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    [OutputType('Uss.PersonalToken')]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string[]] $Id,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [string[]] $Name,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    end {
        [void] (Initialize-UssToken $PSCmdlet $PSBoundParameters)
        Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'tokens' $Id
    }
}

function New-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Uss.PersonalToken')]
    param(
        [Parameter(Mandatory, Position = 0)] [AllowEmptyString()] [string] $Name,
        [Parameter(Position = 1)] [string] $Description,
        [datetime] $Expires,
        [switch] $ClientService,
        [switch] $AsPlainText,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    end {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        $from = Initialize-UssToken $PSCmdlet $PSBoundParameters
        if ($PSCmdlet.ShouldProcess("'$Name' on $from", 'Make personal token')) { Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'new-token' }
    }
}

function Set-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Uss.PersonalToken')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Id,
        [string] $Name,
        [string] $Description,
        [datetime] $Expires,
        [switch] $NeverExpires,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        $from = Initialize-UssToken $PSCmdlet $PSBoundParameters
        $ids = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($element in $Id) {
            $token, $called = Read-UssToken $PSCmdlet $element
            if ($PSCmdlet.ShouldProcess("$called on $from", 'Change personal token')) { [void] $ids.Add($token) }
        }
    }
    end { if ($ids.Count) { Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'set-token' $ids } }
}

function Reset-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    [OutputType('Uss.PersonalToken')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Id,
        [switch] $AsPlainText,
        [switch] $Force,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if ($Force -and -not $PSBoundParameters.ContainsKey('Confirm')) { $ConfirmPreference = 'None' }
        $from = Initialize-UssToken $PSCmdlet $PSBoundParameters
        $ids = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($element in $Id) {
            $token, $called = Read-UssToken $PSCmdlet $element
            if ($PSCmdlet.ShouldProcess("$called on $from", 'Give personal token a new value')) { [void] $ids.Add($token) }
        }
    }
    end { if ($ids.Count) { Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'reset-token' $ids } }
}

function Copy-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Uss.PersonalToken')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Id,
        [string] $Name,
        [string] $Description,
        [datetime] $Expires,
        [switch] $NeverExpires,
        [switch] $AsPlainText,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        $from = Initialize-UssToken $PSCmdlet $PSBoundParameters
        $ids = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($element in $Id) {
            $token, $called = Read-UssToken $PSCmdlet $element
            if ($PSCmdlet.ShouldProcess("$called on $from", 'Copy personal token')) { [void] $ids.Add($token) }
        }
    }
    end { if ($ids.Count) { Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'copy-token' $ids } }
}

function Revoke-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    [OutputType('Uss.PersonalToken')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Id,
        [switch] $Force,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if ($Force -and -not $PSBoundParameters.ContainsKey('Confirm')) { $ConfirmPreference = 'None' }
        $from = Initialize-UssToken $PSCmdlet $PSBoundParameters
        $ids = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($element in $Id) {
            $token, $called = Read-UssToken $PSCmdlet $element
            if ($PSCmdlet.ShouldProcess("$called on $from", 'Revoke personal token')) { [void] $ids.Add($token) }
        }
    }
    end { if ($ids.Count) { Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'revoke-token' $ids } }
}

function Remove-UssPersonalToken {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline)] [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object[]] $Id,
        [switch] $Force,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin {
        . Use-UssPreference $PSCmdlet $PSBoundParameters
        if ($Force -and -not $PSBoundParameters.ContainsKey('Confirm')) { $ConfirmPreference = 'None' }
        $from = Initialize-UssToken $PSCmdlet $PSBoundParameters
        $ids = [System.Collections.ArrayList] @()
    }
    process {
        foreach ($element in $Id) {
            $token, $called = Read-UssToken $PSCmdlet $element
            if ($PSCmdlet.ShouldProcess("$called on $from", 'Remove personal token')) { [void] $ids.Add($token) }
        }
    }
    end { if ($ids.Count) { Invoke-UssTokenCommand $PSCmdlet $PSBoundParameters 'remove-token' $ids } }
}

# ---- Any call

function Invoke-UssMethod {
    # .ExternalHelp Uss-help.xml
    [CmdletBinding()]
    param(
        [Parameter(Mandatory, Position = 0)] [string] $Path,
        [Parameter(Position = 1)] [string] $Method,
        [object] $Body,
        [string] $ContentType,
        [string] $InFile,
        [string] $OutFile,
        [ArgumentCompleter({ & (Get-Module Uss) Complete-UssArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $RouteFile
    )
    begin { if (-not $script:Loaded) { Initialize-Uss } }
    end { Invoke-UssCommand $PSCmdlet $PSBoundParameters 'invoke' }
}
