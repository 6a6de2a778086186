# The cmdlets of module Vap. Each binds its parameters, runs one native command, and writes objects and errors.
# Platform.psm1 does that for all of them; include/uss.h documents the commands and their fields.
Set-StrictMode -Version Latest

if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    throw 'The module Vap needs the full language mode: sign its files by a publisher whom the application control policy trusts, or have the policy allow the module''s folder.'
}

function Initialize-Vap {
    # Loads what the cmdlets stand on, at the first call: a script that imports Vap pays little more than for an empty
    # module.
    Import-Module "$PSScriptRoot/Platform.psm1" -Verbose:$false
    $script:Loaded = $true
}

$script:Loaded = $false

function Use-VapPreference {
    # Dot-sourced: whoever calls it has the -WhatIf and -Confirm of the script that called, as in a compiled cmdlet. The
    # functions of a module see no more than global preferences by themselves, and `.\nightly.ps1 -WhatIf` would be meant
    # in earnest.
    param($Cmdlet, $Bound)
    $caller = $Cmdlet.SessionState.PSVariable
    if (-not $Bound.ContainsKey('WhatIf')) { $WhatIfPreference = $caller.GetValue('WhatIfPreference') }
    if (-not $Bound.ContainsKey('Confirm')) { $ConfirmPreference = $caller.GetValue('ConfirmPreference') }
}

function Complete-VapArgument {
    Import-Module "$PSScriptRoot/VapCompletion.psm1" -Verbose:$false
    Complete-VapWord @args
}

# ---- Connections

function Connect-VapPlatform {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    [OutputType('Vap.Connection')]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [Parameter(Position = 1)] [object] $Credential,
        [switch] $SignIn,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec,
        [string] $Proxy,
        [object] $ProxyCredential,
        [switch] $NoProxy,
        [string] $CertificateAuthority
    )
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    end { Add-VapConnection $PSCmdlet $PSBoundParameters }
}

function Disconnect-VapPlatform {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server
    )
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    end { Remove-VapConnection $PSCmdlet $PSBoundParameters }
}

function Get-VapConnection {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    [OutputType('Vap.Connection')]
    param()
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    end { Read-VapConnection }
}

# ---- Any method

function Invoke-VapMethod {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    param(
        [Parameter(Mandatory, Position = 0)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string] $Method,
        [Parameter(Position = 1)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Parameter,
        [switch] $Force,
        [switch] $AsPlainText,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $SignIn,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    end { Invoke-VapCall $PSCmdlet $PSBoundParameters }
}

# ---- Environments

function Get-VapEnvironment {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    [OutputType('Vap.Environment')]
    param(
        [Parameter(Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Name,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    process { Invoke-VapCommand $PSCmdlet $PSBoundParameters 'platform-environments' @(foreach ($one in $Name) { 'name', $one }) }
}

function Start-VapEnvironment {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Vap.Environment')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Name,
        [switch] $Wait,
        [int] $WaitTimeoutSec,
        [switch] $PassThru,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        $names = [System.Collections.ArrayList] @()
    }
    process { foreach ($one in $Name) { if ($PSCmdlet.ShouldProcess($one, 'Start environment')) { [void] $names.Add($one) } } }
    end { Set-VapState $PSCmdlet $PSBoundParameters 'platform-change' @('action', 'start') $names }
}

function Stop-VapEnvironment {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Vap.Environment')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Name,
        [switch] $Wait,
        [int] $WaitTimeoutSec,
        [switch] $PassThru,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        $names = [System.Collections.ArrayList] @()
    }
    process { foreach ($one in $Name) { if ($PSCmdlet.ShouldProcess($one, 'Stop environment')) { [void] $names.Add($one) } } }
    end { Set-VapState $PSCmdlet $PSBoundParameters 'platform-change' @('action', 'stop') $names }
}

function Restart-VapEnvironment {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Vap.Environment')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Name,
        [long] $NodeId,
        [switch] $PassThru,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        $names = [System.Collections.ArrayList] @()
        $what = if ($NodeId) { "Restart node $NodeId" } else { 'Restart all nodes' }
    }
    process { foreach ($one in $Name) { if ($PSCmdlet.ShouldProcess($one, $what)) { [void] $names.Add($one) } } }
    end {
        $fields = if ($PSBoundParameters.ContainsKey('NodeId')) { 'nodeId', $NodeId } else { @() }
        Set-VapState $PSCmdlet $PSBoundParameters 'platform-restart' $fields $names
    }
}

# ---- Access tokens

function Get-VapToken {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    [OutputType('Vap.Token')]
    param(
        [Parameter(Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [long[]] $Id,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    process { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-tokens' $Id }
}

function New-VapToken {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Vap.Token')]
    param(
        [Parameter(Mandatory, Position = 0)] [string] $Description,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string] $Scope,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Method,
        [datetime] $Expires,
        [object] $Password,
        [switch] $AsPlainText,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
    }
    end { if ($PSCmdlet.ShouldProcess("'$Description'", 'Create access token')) { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-new-token' } }
}

function Set-VapToken {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Vap.Token')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [long[]] $Id,
        [string] $Description,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string] $Scope,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Method,
        [datetime] $Expires,
        [switch] $NeverExpires,
        [object] $Password,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        $ids = [System.Collections.ArrayList] @()
    }
    process { foreach ($one in $Id) { if ($PSCmdlet.ShouldProcess("token $one", 'Change access token')) { [void] $ids.Add($one) } } }
    end { if ($ids.Count) { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-set-token' $ids } }
}

function Copy-VapToken {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    [OutputType('Vap.Token')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [long[]] $Id,
        [string] $Description,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string] $Scope,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Method,
        [datetime] $Expires,
        [switch] $NeverExpires,
        [object] $Password,
        [switch] $AsPlainText,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        $ids = [System.Collections.ArrayList] @()
    }
    process { foreach ($one in $Id) { if ($PSCmdlet.ShouldProcess("token $one", 'Copy access token')) { [void] $ids.Add($one) } } }
    end { if ($ids.Count) { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-copy-token' $ids } }
}

function Reset-VapToken {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    [OutputType('Vap.Token')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [long[]] $Id,
        [object] $Password,
        [switch] $Force,
        [switch] $AsPlainText,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        if ($Force -and -not $PSBoundParameters.ContainsKey('Confirm')) { $ConfirmPreference = 'None' }
        $ids = [System.Collections.ArrayList] @()
    }
    process { foreach ($one in $Id) { if ($PSCmdlet.ShouldProcess("token $one", 'Give access token a new value')) { [void] $ids.Add($one) } } }
    end { if ($ids.Count) { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-reset-token' $ids } }
}

function Remove-VapToken {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipeline, ValueFromPipelineByPropertyName)] [long[]] $Id,
        [object] $Password,
        [switch] $Force,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin {
        . Use-VapPreference $PSCmdlet $PSBoundParameters
        if (-not $script:Loaded) { Initialize-Vap }
        if ($Force -and -not $PSBoundParameters.ContainsKey('Confirm')) { $ConfirmPreference = 'None' }
        $ids = [System.Collections.ArrayList] @()
    }
    process { foreach ($one in $Id) { if ($PSCmdlet.ShouldProcess("token $one", 'Remove access token')) { [void] $ids.Add($one) } } }
    end { if ($ids.Count) { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-remove-token' $ids } }
}

function Get-VapTokenScope {
    # .ExternalHelp Vap-help.xml
    [CmdletBinding()]
    [OutputType('Vap.TokenScope')]
    param(
        [Parameter(Position = 0)] [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [string[]] $Name,
        [string] $Search,
        [ArgumentCompleter({ & (Get-Module Vap) Complete-VapArgument @args })] [object] $Server,
        [object] $Credential,
        [switch] $AllowUnencryptedAuthentication,
        [switch] $SkipCertificateCheck,
        [int] $TimeoutSec
    )
    begin { if (-not $script:Loaded) { Initialize-Vap } }
    end { Invoke-VapToken $PSCmdlet $PSBoundParameters 'platform-scopes' }
}
