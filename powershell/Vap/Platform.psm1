# What the cmdlets of Vap stand on: this runspace's connections, the platform and credential of a call, and the running
# of its command. Functions here take their parameters untyped: a type costs the first call in a process a conversion.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Native.psm1" -Verbose:$false

# The newest last: Object (Vap.Connection), Id, Server, Origin, Options, Credential, SignIn.
$script:Connections = @()
$script:Default = $null
$script:Ready = $false
$script:Warned = $false

# Parameters that are options of a connection.
$script:OptionFields = @{
    AllowUnencryptedAuthentication = 'allowUnencryptedAuthentication'; SkipCertificateCheck = 'skipCertificateCheck'
    TimeoutSec = 'timeout'; Proxy = 'proxy'; ProxyCredential = 'proxyCredential'
    NoProxy = 'noProxy'; CertificateAuthority = 'certificateAuthority'
}
$script:Activities = @{
    'platform-connect' = 'Connecting'; 'platform-call' = 'Waiting for the platform'; 'platform-environments' = 'Reading environments'
    'platform-change' = 'Changing environments'; 'platform-restart' = 'Restarting nodes'
}

# ---- Running commands

function Invoke-VapCommand {
    # One command on one platform, for $Cmdlet with its $Bound parameters.
    param($Cmdlet, $Bound, $Command, $Fields, $SignIn)
    $connection = Open-VapPlatform $Cmdlet $Bound $SignIn
    try { Invoke-VapFields $Cmdlet $Bound $Command (@('connection', $connection.Id) + $Fields) }
    finally { if ($connection.Own) { Close-VapPlatform $Cmdlet $connection -Quiet } }
}

function Invoke-VapFields {
    # One command, with what a progress display says of it.
    param($Cmdlet, $Bound, $Command, $Fields)
    if (-not $script:Ready) {
        Import-Module "$PSScriptRoot/Operation.psm1", "$PSScriptRoot/Vap.format.psd1" -Verbose:$false
        $script:Ready = $true
    }
    $activity = $script:Activities[$Command]
    if (-not $activity) { $activity = 'Waiting for the platform' }
    $stream = 'platform-change', 'platform-restart' -contains $Command
    Invoke-UssOperation $Cmdlet $Bound $Command $Fields $activity -Stream:$stream -Fatal:($Command -eq 'platform-connect')
}

function Set-VapState {
    # Start, stop, restart: one command for all names; the environments with -Wait or -PassThru.
    param($Cmdlet, $Bound, $Command, $Fields, $Names)
    if (-not $Names.Count) { return }
    foreach ($name in $Names) { $Fields += 'name', $name }
    if ($Bound['Wait']) { $Fields += 'wait', 'true' }
    if ($Bound.ContainsKey('WaitTimeoutSec')) { $Fields += 'limit', $Bound['WaitTimeoutSec'] }
    # Only then: a token that may stop environments need not be one that may look at them.
    if ($Bound['PassThru']) { $Fields += 'show', 'true' }
    Invoke-VapCommand $Cmdlet $Bound $Command $Fields
}

function Invoke-VapCall {
    # Invoke-VapMethod: values as text, secrets as connections that hold them, secrets in the answer as SecureStrings.
    param($Cmdlet, $Bound)
    $given = $Bound['Parameter']
    if ($null -ne $given -and $given -isnot [System.Collections.IDictionary]) {
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' "-Parameter takes a hashtable, not a $($given.GetType().FullName)." 'Write it like -Parameter @{ envName = ''my-project'' }.' 'InvalidArgument' 'Parameter'
    }
    $fields = @('method', $Bound['Method'])
    if ($Bound['Force']) { $fields += 'force', 'true' }
    $secrets = @()
    try {
        if ($null -ne $given) {
            foreach ($name in $given.Keys) {
                $value = $given[$name]
                if ($value -is [pscredential]) { $value = $value.Password }
                if ($value -is [securestring]) {
                    $secrets += Open-UssConnection $Cmdlet @('server', 'https://localhost', 'user', 'secret') $value
                    $fields += 'secretParameter', $name, 'secret', $secrets[-1]
                }
                elseif ($null -ne $value) { $fields += 'parameter', $name, 'value', (ConvertTo-VapText $value) }
            }
        }
        Invoke-VapCommand $Cmdlet $Bound 'platform-call' $fields $Bound['SignIn'] | ForEach-Object {
            if ($_.PSTypeNames[0] -ne 'Vap.Answer') { return $_ }
            Import-Module "$PSScriptRoot/VapSecret.psm1" -Verbose:$false
            Show-VapAnswer $Cmdlet $_ $Bound['AsPlainText']
        }
    }
    finally { if ($secrets) { Close-UssConnection $secrets } }
}

function ConvertTo-VapText {
    # A parameter's value as the platform reads it: flags as true and false, dates in UTC, structures as JSON.
    param($Value)
    if ($Value -is [string]) { return $Value }
    if ($Value -is [bool] -or $Value -is [switch]) { if ($Value) { return 'true' } else { return 'false' } }
    if ($Value -is [System.DateTimeOffset]) { $Value = $Value.UtcDateTime }
    if ($Value -is [datetime]) { return $Value.ToUniversalTime().ToString('yyyy-MM-dd HH:mm:ss', [cultureinfo]::InvariantCulture) }
    if ($Value -is [System.ValueType] -or $Value -is [uri]) { return [string]::Format([cultureinfo]::InvariantCulture, '{0}', $Value) }
    Import-Module "$PSScriptRoot/VapSecret.psm1" -Verbose:$false
    ConvertTo-VapJson $Value
}

function Invoke-VapToken {
    # One command of tokens: by login and password, with the password again where -Password gives it.
    param($Cmdlet, $Bound, $Command, $Ids)
    Import-Module "$PSScriptRoot/VapSecret.psm1" -Verbose:$false
    Invoke-VapTokenCommand $Cmdlet $Bound $Command $Ids
}

# ---- Connections of this runspace

function Add-VapConnection {
    # Connect-VapPlatform: signs in, and makes it this runspace's default. A failure leaves the previous one.
    param($Cmdlet, $Bound)
    $connection = Open-VapPlatform $Cmdlet $Bound $Bound['SignIn'] $true
    try {
        $object = Invoke-VapFields $Cmdlet $Bound 'platform-connect' @('connection', $connection.Id)
        $object.PSObject.Properties.Add([System.Management.Automation.PSNoteProperty]::new('Default', $true))
        # The handle is in a member set: no output shows it, and a copy in another process is known by its type's name.
        $handle = [System.Management.Automation.PSNoteProperty]::new('Id', $connection.Id)
        $object.PSObject.Members.Add([System.Management.Automation.PSMemberSet]::new('UssHandle', [System.Management.Automation.PSMemberInfo[]] @($handle)))
        $connection.Object = $object
        $connection.Own = $false
    }
    finally { if ($connection.Own) { Close-VapPlatform $Cmdlet $connection -Quiet } }
    foreach ($other in $script:Connections) { $other.Object.Default = $false }
    $script:Connections += $connection
    $script:Default = $connection
    $object
}

function Remove-VapConnection {
    # Disconnect-VapPlatform: ends the default connection, the one of an object, or all of a platform.
    param($Cmdlet, $Bound)
    $server = $Bound['Server']
    if ($null -eq $server) { $ending = @($script:Default) }
    elseif (Test-VapConnection $server) {
        $id = Get-VapHandle $Cmdlet $server
        $ending = @(foreach ($connection in $script:Connections) { if ($connection.Id -eq $id) { $connection } })
    }
    else {
        $origin = Get-UssOrigin $server
        $ending = @(foreach ($connection in $script:Connections) { if ($origin -and $connection.Origin -eq $origin) { $connection } })
    }
    if (-not $ending) {
        Stop-UssCmdlet $Cmdlet 'NotConnected' 'There is no such connection in this session.' 'Get-VapConnection lists the connections.' 'ConnectionError' $server
    }
    $script:Connections = @(foreach ($connection in $script:Connections) { if ($ending -notcontains $connection) { $connection } })
    foreach ($connection in $ending) {
        $connection.Object.Default = $false
        if ($connection -eq $script:Default) { $script:Default = $null }
        Close-VapPlatform $Cmdlet $connection
    }
}

function Read-VapConnection {
    $objects = @(foreach ($connection in $script:Connections) { $connection.Object })
    $objects
}

function Close-VapPlatform {
    # Ends the session that a password began, and the native connection, whatever becomes of the first. -Quiet: the call
    # before it has its own answer, which an error here must not take away.
    param($Cmdlet, $Connection, [switch] $Quiet)
    try {
        if ($Connection.SignIn) {
            $fields = 'connection', $Connection.Id
            if ($Quiet) { $fields += 'quiet', 'true' }
            [void] (Invoke-VapFields $Cmdlet @{} 'platform-disconnect' $fields)
        }
    }
    finally { Close-UssConnection $Connection.Id }
}

function Test-VapConnection {
    # Whether it is a connection object, of this process or of another.
    param($Value)
    'Vap.Connection', 'Deserialized.Vap.Connection' -contains $Value.PSTypeNames[0]
}

function Get-VapHandle {
    # The native connection of a connection object.
    param($Cmdlet, $Object)
    $handle = $Object.PSObject.Members['UssHandle']
    if ($null -eq $handle -or $Object.PSTypeNames[0] -ne 'Vap.Connection') {
        Stop-UssCmdlet $Cmdlet 'InvalidHandle' 'This connection object was made in another process.' 'Connect there, with Connect-VapPlatform.' 'InvalidArgument' $Object
    }
    $Object.UssHandle.Id
}

# ---- The platform and the credential of a call

function Open-VapPlatform {
    # The native connection of a call: a known one, or one that Close-VapPlatform closes. A secret is only used for the
    # origin that it was given for.
    param($Cmdlet, $Bound, $SignIn, $New)
    $server = $Bound['Server']
    $credential = $Bound['Credential']
    if ($null -ne $credential -and $credential -isnot [pscredential]) {
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' "-Credential takes a PSCredential, not a $($credential.GetType().FullName)." `
            'Make one with New-Object PSCredential USER, (ConvertTo-SecureString TOKEN -AsPlainText -Force), or with Get-Credential.' 'InvalidArgument' 'Credential'
    }
    $options = @(Read-VapOption $Cmdlet $Bound)
    if ($null -ne $server -and $server -isnot [string] -and $server -isnot [uri]) {
        if (-not (Test-VapConnection $server)) {
            Stop-UssCmdlet $Cmdlet 'InvalidArgument' "A $($server.GetType().FullName) names no platform." 'Give an address, or a connection that Connect-VapPlatform returned.' 'InvalidArgument' $server
        }
        if ($null -ne $credential -or $options) {
            Stop-UssCmdlet $Cmdlet 'InvalidArgument' 'A credential or an option beside a connection object, which has its own.' 'Leave one of them out, or name the platform by its address.'
        }
        return @{ Id = (Get-VapHandle $Cmdlet $server); Own = $false; SignIn = $false }
    }
    if ($null -eq $server) {
        if ($null -ne $script:Default) {
            if ($null -eq $credential -and -not $options -and -not $New) { return $script:Default }
            $server = $script:Default.Server
        }
        else { $server = [System.Environment]::GetEnvironmentVariable('VAP_SERVER') }
        if (-not $server) {
            $hint = if ($New) { 'Name it, like Connect-VapPlatform https://app.example.com, or set VAP_SERVER.' } else { 'Use Connect-VapPlatform first, or -Server, or set VAP_SERVER.' }
            Stop-UssCmdlet $Cmdlet 'NotConnected' 'No platform was named, and there is no connection.' $hint 'ConnectionError'
        }
    }
    $origin = Get-UssOrigin $server
    $known = $null
    foreach ($connection in $script:Connections) { if ($origin -and $connection.Origin -eq $origin) { $known = $connection } }
    if ($null -eq $credential) {
        if ($null -ne $known) {
            if (-not $New -and -not $options -and "$server" -eq $known.Server) { return $known }
            $credential = $known.Credential
            $SignIn = $known.SignIn
        }
        elseif ($origin -and (Get-UssOrigin ([System.Environment]::GetEnvironmentVariable('VAP_SERVER'))) -eq $origin) {
            $user = [System.Environment]::GetEnvironmentVariable('VAP_USERNAME')
            if (-not $user) { $user = 'token' }
            $options += 'user', $user, 'tokenVariable', 'VAP_ACCESS_TOKEN'
        }
    }
    # What the connection of the same origin has, but for what is given anew.
    if ($null -ne $known) { $options = $known.Options + $options }
    $named = [ordered] @{ server = "$server"; platform = 'true' }
    for ($at = 0; $at -lt $options.Length; $at += 2) { $named[$options[$at]] = $options[$at + 1] }
    $secret = $proxy = $null
    if ($null -ne $credential) {
        $named['user'] = $credential.UserName
        $named.Remove('tokenVariable')
        $secret = $credential.Password
        if ($SignIn) { $named['person'] = 'true' }
    }
    try {
        $by = $named['proxyCredential']
        if ($null -ne $by) {
            $proxy = Open-UssConnection $Cmdlet @('server', $named['proxy'], 'user', $by.UserName, 'allowUnencryptedAuthentication', 'true') $by.Password
            $named['proxyCredential'] = $proxy
        }
        $fields = @(foreach ($name in $named.Keys) { $name; $named[$name] })
        $id = Open-UssConnection $Cmdlet $fields $secret
    }
    finally { if ($proxy) { Close-UssConnection $proxy } }
    @{ Id = $id; Own = $true; Server = "$server"; Origin = $origin; Options = $options; Credential = $credential; SignIn = [bool] $SignIn; Object = $null }
}

function Read-VapOption {
    # The transport options that were given: names and values.
    param($Cmdlet, $Bound)
    foreach ($parameter in $Bound.Keys) {
        $field = $script:OptionFields[$parameter]
        if ($null -eq $field) { continue }
        $value = $Bound[$parameter]
        $field
        if ($parameter -eq 'ProxyCredential') {
            if ($value -isnot [pscredential] -or -not $Bound['Proxy']) {
                Stop-UssCmdlet $Cmdlet 'InvalidArgument' '-ProxyCredential takes a PSCredential, and needs -Proxy.' 'Name the proxy too, or leave its credential out.' 'InvalidArgument' 'ProxyCredential'
            }
            $value
        }
        elseif ($parameter -eq 'CertificateAuthority') { $Cmdlet.GetUnresolvedProviderPathFromPSPath($value) }
        elseif ($value -is [switch]) { if ($value) { 'true' } else { 'false' } }
        else { $value }
        if ($parameter -eq 'SkipCertificateCheck' -and $value -and -not $script:Warned) {
            $script:Warned = $true
            $WarningPreference = $Cmdlet.SessionState.PSVariable.GetValue('WarningPreference')
            $Cmdlet.WriteWarning('Certificates are not checked: whoever is between here and the platform can read the token.')
        }
    }
}
