# What the cmdlets of Uss stand on: this runspace's connections, the server and credential of a call, and the running of
# its command. Fields.psm1 has the fields of the commands. Functions here take their parameters untyped: a type costs the
# first call in a process a conversion.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Native.psm1" -Verbose:$false

# The newest last: Object (Uss.Connection), Id, Server, Origin, Options, Credential.
$script:Connections = @()
$script:Default = $null
$script:Ready = $false
$script:Warned = $false

# Parameters that are options of a connection.
$script:OptionFields = @{
    AllowUnencryptedAuthentication = 'allowUnencryptedAuthentication'; SkipCertificateCheck = 'skipCertificateCheck'
    TimeoutSec = 'timeout'; RouteFile = 'routeFile'; Proxy = 'proxy'; ProxyCredential = 'proxyCredential'
    NoProxy = 'noProxy'; CertificateAuthority = 'certificateAuthority'
}

# What a progress display says of a command.
$script:Activities = @{
    'packages' = 'Reading packages'; 'versions' = 'Reading versions'; 'resolve' = 'Resolving dependencies'
    'plan-copy' = 'Copying packages'; 'plan-copy-installer' = 'Copying installers'; 'plan-save' = 'Saving packages'
    'plan-import' = 'Reading packages'; 'installers' = 'Reading installers'; 'remove' = 'Removing packages'
    'test' = 'Looking for packages'; 'new-package' = 'Creating the package'; 'invoke' = 'Waiting for the server'
}

# ---- Running commands

function Invoke-UssCommand {
    # One command on one server, for $Cmdlet with its $Bound parameters.
    param($Cmdlet, $Bound, $Command, $Packages)
    # Where nothing is said of a server, as in most calls, it is the default connection: there is nothing to look up.
    $connection = $script:Default
    foreach ($parameter in $Bound.Keys) {
        if ($parameter -eq 'Server' -or $parameter -eq 'Credential' -or $script:OptionFields[$parameter]) { $connection = $null }
    }
    if ($null -eq $connection) { $connection = Open-UssServer $Cmdlet $Bound @(Read-UssOption $Cmdlet $Bound) '' $Bound['Server'] }
    try {
        if (-not $script:Ready) { Import-UssCommand }
        $fields = Read-UssField $Cmdlet $Bound $Packages
        Invoke-UssOperation $Cmdlet $Bound $Command ($fields + @('connection', $connection.Id)) $script:Activities[$Command]
    }
    finally { if ($connection.Own) { Close-UssServer $connection } }
}

function Invoke-UssLocalCommand {
    # One command that reaches no server.
    param($Cmdlet, $Bound, $Command)
    if (-not $script:Ready) { Import-UssCommand }
    Invoke-UssOperation $Cmdlet $Bound $Command (Read-UssField $Cmdlet $Bound) $script:Activities[$Command]
}

function Invoke-UssCopy {
    # Plans, asks once a destination in the plan's own words, copies what was shown. -WhatIf returns the plan's rows.
    param($Cmdlet, $Bound, $Command, $WhatIf, $Packages)
    # ShouldProcess reads them here, in this module.
    $WhatIfPreference = $WhatIf
    $ConfirmPreference = $Cmdlet.SessionState.PSVariable.GetValue('ConfirmPreference')
    $options = @(Read-UssOption $Cmdlet $Bound)
    if (-not $script:Ready) { Import-UssCommand }
    $fields = Read-UssField $Cmdlet $Bound $Packages
    $run = @()
    if ($Bound.ContainsKey('ThrottleLimit')) { $run += 'throttleLimit', $Bound['ThrottleLimit'] }
    if ($Bound.ContainsKey('MaxBytesPerSecond')) { $run += 'maxBytesPerSecond', $Bound['MaxBytesPerSecond'] }
    if ($Bound.ContainsKey('CleanUp')) { $run += 'cleanUp', "$($Bound['CleanUp'])".ToLowerInvariant() }
    # Ten thousand rows that nobody asked to see take as much memory as the copy itself.
    if (-not $WhatIf) { $fields += 'summaryOnly', 'true' }
    $connections = @()
    $plan = [long[]] @(0)
    try {
        # -Server is where packages are saved from, and else where they go; files come from no server.
        if ($Command -ne 'plan-import') {
            $side = if ($Command -eq 'plan-save') { '' } else { 'Source' }
            $connections += Open-UssServer $Cmdlet $Bound $options $side $Bound[$side + 'Server']
            $fields += 'source', $connections[0].Id
        }
        if ($Command -ne 'plan-save') {
            foreach ($server in @($Bound['Server'])) {
                $connections += Open-UssServer $Cmdlet $Bound $options '' $server
                $fields += 'destination', $connections[-1].Id
            }
        }
        $agreed = $true
        $destinations = @()
        $rows = foreach ($row in @(Invoke-UssOperation $Cmdlet $Bound $Command $fields $script:Activities[$Command] -Kept $plan -Fatal)) {
            if ($row.PSTypeNames[0] -ne 'Uss.CopyPlan') { $row; continue }
            $destinations += $row.Destination
            if (-not $Cmdlet.ShouldProcess($row.Target, $row.Action)) { $agreed = $false }
        }
        if ($WhatIf) { return $rows }
        if ($agreed) {
            Invoke-UssOperation $Cmdlet $Bound 'copy' (@('plan', $plan[0]) + $run) 'Copying packages' -Stream -Destination $destinations
        }
    }
    finally {
        Close-UssOperation $plan[0]
        foreach ($connection in $connections) { Close-UssServer $connection }
    }
}

function Import-UssCommand {
    # Loads what runs commands, once a connection is open: the checks before that need none of it.
    Import-Module "$PSScriptRoot/Command.psm1", "$PSScriptRoot/Operation.psm1" -Verbose:$false
    $script:Ready = $true
}

# ---- Connections of this runspace

function Add-UssConnection {
    # Connect-UssServer: signs in, and makes it this runspace's default. A failure leaves the previous one.
    param($Cmdlet, $Bound)
    $server = Find-UssServer $Cmdlet $Bound $Bound['Server']
    if ($server -isnot [string]) { $server = $server.Server }
    $options = @(Read-UssOption $Cmdlet $Bound)
    $connection = Open-UssServer $Cmdlet $Bound $options '' $server $true
    try {
        if (-not $script:Ready) { Import-UssCommand }
        $fields = @('connection', $connection.Id)
        if ($Bound['Remember']) { $fields += 'remember', 'true' }
        $object = Invoke-UssOperation $Cmdlet $Bound 'connect' $fields 'Connecting' -Fatal
        $object.PSObject.Properties.Add([System.Management.Automation.PSNoteProperty]::new('Default', $true))
        # The handle is in a member set: no output shows it, and a copy in another process is known by its type's name.
        $handle = [System.Management.Automation.PSNoteProperty]::new('Id', $connection.Id)
        $object.PSObject.Members.Add([System.Management.Automation.PSMemberSet]::new('UssHandle', [System.Management.Automation.PSMemberInfo[]] @($handle)))
        $connection.Object = $object
        $connection.Origin = Get-UssOrigin $server
        $connection.Own = $false
    }
    finally { Close-UssServer $connection }
    foreach ($other in $script:Connections) { $other.Object.Default = $false }
    $script:Connections += $connection
    $script:Default = $connection
    $object
}

function Remove-UssConnection {
    # Disconnect-UssServer: ends the default connection, the one of an object, or all of a server. -Forget also removes
    # what the keyring has for the server, connected or not.
    param($Cmdlet, $Bound)
    $server = $Bound['Server']
    $forgotten = if (-not $Bound['Forget']) { $null } elseif ($null -eq $server) { $script:Default } else { Find-UssServer $Cmdlet $Bound $server }
    if ($null -ne $forgotten -and $forgotten -isnot [string]) { $forgotten = $forgotten.Server }
    if ($null -eq $server) { $ending = @($script:Default) }
    elseif (Test-UssConnection $server) {
        $id = Get-UssHandle $Cmdlet $server
        $ending = @(foreach ($connection in $script:Connections) { if ($connection.Id -eq $id) { $connection } })
    }
    else {
        $origin = Get-UssOrigin $server
        $ending = @(foreach ($connection in $script:Connections) { if ($origin -and $connection.Origin -eq $origin) { $connection } })
    }
    if (-not $ending -and -not $forgotten) {
        Stop-UssCmdlet $Cmdlet 'NotConnected' 'There is no such connection in this session.' 'Get-UssConnection lists the connections.' 'ConnectionError' $server
    }
    foreach ($connection in $ending) {
        Close-UssConnection $connection.Id
        $connection.Object.Default = $false
        if ($connection -eq $script:Default) { $script:Default = $null }
    }
    $script:Connections = @(foreach ($connection in $script:Connections) { if ($ending -notcontains $connection) { $connection } })
    if ($forgotten) {
        if (-not $script:Ready) { Import-UssCommand }
        [void] (Invoke-UssOperation $Cmdlet $Bound 'forget' @('server', $forgotten) 'Waiting for the keyring' -Fatal)
    }
}

function Read-UssConnection {
    $objects = @(foreach ($connection in $script:Connections) { $connection.Object })
    $objects
}

function Test-UssConnection {
    # Whether it is a connection object, of this process or of another.
    param($Value)
    'Uss.Connection', 'Deserialized.Uss.Connection' -contains $Value.PSTypeNames[0]
}

function Get-UssHandle {
    # The native connection of a connection object.
    param($Cmdlet, $Object)
    $handle = $Object.PSObject.Members['UssHandle']
    if ($null -eq $handle -or $Object.PSTypeNames[0] -ne 'Uss.Connection') {
        Stop-UssCmdlet $Cmdlet 'InvalidHandle' 'This connection object was made in another process.' 'Connect there, with Connect-UssServer.' 'InvalidArgument' $Object
    }
    $Object.UssHandle.Id
}

# ---- The server and the credential of a call

function Find-UssServer {
    # What names the server: -Server, this runspace's default connection, or USS_SERVER. An address or a connection object.
    param($Cmdlet, $Bound, $Server)
    if ($Server -is [string]) { return $Server }
    if ($null -ne $Server) {
        if ($Server -is [uri]) { return "$Server" }
        if (Test-UssConnection $Server) { return $Server }
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' "A $($Server.GetType().FullName) names no server." 'Give an address, or a connection that Connect-UssServer returned.' 'InvalidArgument' $Server
    }
    if ($null -ne $script:Default) {
        if ($null -ne $Bound['Credential']) { return $script:Default.Server }
        return $script:Default.Object
    }
    $server = [System.Environment]::GetEnvironmentVariable('USS_SERVER')
    if ($server) { return $server }
    Stop-UssCmdlet $Cmdlet 'NotConnected' 'No server was named, and there is no connection.' 'Use Connect-UssServer first, or -Server, or set USS_SERVER.' 'ConnectionError'
}

function Open-UssServer {
    # The native connection to one end of a call; Close-UssServer closes what was made for it. A secret is only used
    # for the origin that it was given for.
    param($Cmdlet, $Bound, $Options, $Side, $Server, $New)
    $credential = $Bound[$Side + 'Credential']
    if ($null -eq $Server -and $null -eq $credential -and $null -ne $script:Default -and -not (Get-UssOption $Bound)) { return $script:Default }
    if ($Server -isnot [string] -or $credential -isnot [pscredential] -or $script:Connections) {
        $known, $Server, $Options, $credential = Find-UssEnd $Cmdlet $Bound $Options $Side $Server $New
        if ($known) { return @{ Id = $known; Own = $false } }
    }
    $fields = @('server', $Server)
    $secret = $proxy = $null
    if ($null -ne $credential) {
        $fields += 'user', $credential.UserName
        $secret = $credential.Password
    }
    if ($Options -contains 'proxyCredential') { $proxy, $fields = @(Open-UssProxy $Cmdlet $Options) + $fields }
    else { $fields += $Options }
    try { $id = Open-UssConnection $Cmdlet $fields $secret }
    finally { if ($proxy) { Close-UssConnection $proxy } }
    @{ Id = $id; Own = $true; Server = $Server; Options = $Options; Credential = $credential }
}

function Find-UssEnd {
    # An end of a call of which not both the address and the credential were given, or that may be known: the id of a
    # connection that serves, else 0 and the address, options and credential to open one with.
    param($Cmdlet, $Bound, $Options, $Side, $Server, $New)
    $parameter = $Side + 'Credential'
    $credential = $Bound[$parameter]
    if ($null -ne $credential -and $credential -isnot [pscredential]) { Stop-UssCredential $Cmdlet $parameter $credential }
    $given = $Server
    $Server = Find-UssServer $Cmdlet $Bound $Server
    if ($Server -isnot [string]) {
        if ($null -eq $credential) { $parameter = Get-UssOption $Bound $given }
        if ($null -ne $given -and $parameter) {
            Stop-UssCmdlet $Cmdlet 'InvalidArgument' "-$parameter beside a connection object, which has its own." 'Leave one of them out, or name the server by its address.'
        }
        if (-not $parameter) { return Get-UssHandle $Cmdlet $Server }
        # The default connection with other options for this call.
        $Server = $Server.Server
    }
    $origin = Get-UssOrigin $Server
    $known = $null
    foreach ($connection in $script:Connections) { if ($origin -and $connection.Origin -eq $origin) { $known = $connection } }
    if ($null -eq $known) {
        if ($null -eq $credential -and $origin) { $Options += Get-UssUser $Side $origin }
    }
    elseif ($null -eq $credential) {
        if (-not $New -and $known.Server -eq $Server -and (Test-UssOption $known.Options $Options)) { return $known.Id }
        $credential = $known.Credential
        $Options = Join-UssOption $known.Options $Options
    }
    else { $Options = Join-UssOption $known.Options $Options 'user', 'tokenVariable', 'keyring' }
    0
    $Server
    , @($Options)
    $credential
}

function Get-UssOption {
    # A transport option that was given, unless it is for the other end of a copy and this one is the object $Given.
    param($Bound, $Given)
    if ($null -ne $Given -and $Bound.ContainsKey('SourceServer')) {
        foreach ($end in @($Bound['SourceServer']) + @($Bound['Server'])) { if ($null -eq $end -or -not (Test-UssConnection $end)) { return } }
    }
    foreach ($name in $Bound.Keys) { if ($script:OptionFields[$name]) { return $name } }
}

function Test-UssOption {
    # Whether a known connection has the options that are given: none, or the same.
    param($Known, $Given)
    $options = @{}
    for ($at = 0; $at -lt $Known.Length; $at += 2) { $options[$Known[$at]] = $Known[$at + 1] }
    for ($at = 0; $at -lt $Given.Length; $at += 2) { if ($options[$Given[$at]] -ne $Given[$at + 1]) { return $false } }
    $true
}

function Join-UssOption {
    # The options of a known connection, but for those that are given anew, or are not for this call.
    param($Known, $Given, $But = @())
    $options = [ordered] @{}
    for ($at = 0; $at -lt $Known.Length; $at += 2) { if ($But -notcontains $Known[$at]) { $options[$Known[$at]] = $Known[$at + 1] } }
    for ($at = 0; $at -lt $Given.Length; $at += 2) { $options[$Given[$at]] = $Given[$at + 1] }
    foreach ($name in $options.Keys) { $name; $options[$name] }
}

function Close-UssServer {
    param($Connection)
    if ($Connection.Own) { Close-UssConnection $Connection.Id }
}

function Get-UssUser {
    # The user and token of the environment, if they are for this origin; else what the keyring has for it. Tokens are
    # read natively, by their names.
    param($Side, $Origin)
    $prefix = if ($Side) { 'USS_SOURCE' } else { 'USS' }
    $user = [System.Environment]::GetEnvironmentVariable("${prefix}_USERNAME")
    if ($user -and (Get-UssOrigin ([System.Environment]::GetEnvironmentVariable("${prefix}_SERVER"))) -eq $Origin) {
        'user', $user, 'tokenVariable', "${prefix}_PERSONAL_TOKEN"
    }
    else { 'keyring', 'true' }
}

function Open-UssProxy {
    # A connection that stands for the proxy's user and password while another is opened, and the options with it.
    param($Cmdlet, $Options)
    $named = @{}
    for ($at = 0; $at -lt $Options.Length; $at += 2) { $named[$Options[$at]] = $Options[$at + 1] }
    if (-not $named['proxy']) {
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' '-ProxyCredential is given without -Proxy.' 'Name the proxy too, or leave its credential out.' 'InvalidArgument' 'ProxyCredential'
    }
    $credential = $named['proxyCredential']
    $named['proxyCredential'] = Open-UssConnection $Cmdlet @('server', $named['proxy'], 'user', $credential.UserName, 'allowUnencryptedAuthentication', 'true') $credential.Password
    $named['proxyCredential']
    foreach ($name in $named.Keys) { $name; $named[$name] }
}

function Stop-UssCredential {
    # Nothing ever prompts for a credential.
    param($Cmdlet, $Parameter, $Value)
    Stop-UssCmdlet $Cmdlet 'InvalidArgument' "-$Parameter takes a PSCredential, not a $($Value.GetType().FullName)." `
        'Make one with New-Object PSCredential USER, (ConvertTo-SecureString TOKEN -AsPlainText -Force), or with Get-Credential.' 'InvalidArgument' $Parameter
}

# ---- Parameters as options of a connection

function Read-UssOption {
    # Names and values.
    param($Cmdlet, $Bound)
    foreach ($parameter in $Bound.Keys) {
        $field = $script:OptionFields[$parameter]
        if ($null -ne $field) { $field; Convert-UssOption $Cmdlet $Bound $parameter }
    }
    $routes = [System.Environment]::GetEnvironmentVariable('USS_ROUTES')
    if ($routes -and -not $Bound['RouteFile']) { 'routeFile'; $Cmdlet.GetUnresolvedProviderPathFromPSPath($routes) }
}

function Convert-UssOption {
    # The value of a transport option.
    param($Cmdlet, $Bound, $Parameter)
    $value = $Bound[$Parameter]
    if ($Parameter -eq 'ProxyCredential' -and $value -isnot [pscredential]) { Stop-UssCredential $Cmdlet $Parameter $value }
    if ($Parameter -eq 'SkipCertificateCheck' -and $value -and -not $script:Warned) {
        $script:Warned = $true
        $WarningPreference = $Cmdlet.SessionState.PSVariable.GetValue('WarningPreference')
        $Cmdlet.WriteWarning('Certificates are not checked: whoever is between here and the server can read the token.')
    }
    if ('RouteFile', 'CertificateAuthority' -contains $Parameter) { return $Cmdlet.GetUnresolvedProviderPathFromPSPath($value) }
    if ($value -is [switch]) { if ($value) { return 'true' }; return 'false' }
    $value
}
