# What the cmdlets of Uss stand on: this runspace's connections, the server and credential of a call, the fields of a
# command. Functions here take their parameters untyped: a type costs the first call in a process a conversion.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Native.psm1" -Verbose:$false

# The newest last: Object (Uss.Connection), Id, Server, Origin, Options, Credential.
$script:Connections = @()
$script:Default = $null
$script:Formats = $false
$script:Warned = $false

# Parameters that are fields of a command, and of a connection.
$script:CommandFields = @{
    Id = 'id'; Search = 'search'; All = 'all'; IncludeDependencies = 'includeDependencies'; IncludeOptional = 'includeOptional'
    Force = 'force'; SkipDependencyCheck = 'skipDependencyCheck'; InstallerId = 'installerId'; Name = 'name'
    DisplayName = 'displayName'; Description = 'description'; Version = 'version'; OutputDir = 'outputDir'
    InputPath = 'inputPath'; Dependencies = 'dependencies'; Path = 'path'; Method = 'method'; Body = 'body'
    ContentType = 'contentType'; InFile = 'inFile'; OutFile = 'outFile'
}
$script:OptionFields = @{
    AllowUnencryptedAuthentication = 'allowUnencryptedAuthentication'; SkipCertificateCheck = 'skipCertificateCheck'
    TimeoutSec = 'timeout'; RouteFile = 'routeFile'; Proxy = 'proxy'; ProxyCredential = 'proxyCredential'
    NoProxy = 'noProxy'; CertificateAuthority = 'certificateAuthority'
}
# Parameters that Open-UssServer and Read-UssCall look at themselves: the ones of the first call in many a script.
$script:OwnParameters = @{
    PackageId = $true; VersionQuery = $true; Server = $true; Credential = $true; SourceServer = $true; SourceCredential = $true
}
$script:PathParameters = 'OutputDir', 'InputPath', 'InFile', 'OutFile', 'RouteFile', 'CertificateAuthority'
$script:Activities = @{
    'connect' = 'Connecting'; 'packages' = 'Reading packages'; 'versions' = 'Reading versions'
    'resolve' = 'Resolving dependencies'; 'plan-copy' = 'Copying packages'; 'plan-copy-installer' = 'Copying installers'
    'installers' = 'Reading installers'; 'remove' = 'Removing packages'; 'test' = 'Looking for packages'
    'new-package' = 'Creating the package'; 'invoke' = 'Waiting for the server'
}

# ---- Running commands

function Invoke-UssCommand {
    # One command on one server, for $Cmdlet with its $Bound parameters.
    param($Cmdlet, $Bound, $Command, $Packages)
    $fields, $options = Read-UssCall $Cmdlet $Bound $Command $Packages
    $connection = Open-UssServer $Cmdlet $Bound $options '' $Bound['Server']
    try { Invoke-UssFields $Cmdlet $Bound ($fields + @('connection', $connection.Id)) $script:Activities[$Command] }
    finally { Close-UssServer $connection }
}

function Invoke-UssLocalCommand {
    # One command that reaches no server.
    param($Cmdlet, $Bound, $Command)
    $fields, $null = Read-UssCall $Cmdlet $Bound $Command
    Invoke-UssFields $Cmdlet $Bound $fields $script:Activities[$Command]
}

function Invoke-UssCopy {
    # Plans, asks once a destination in the plan's own words, copies what was shown. -WhatIf returns the plan's rows.
    param($Cmdlet, $Bound, $Command, $WhatIf, $Packages)
    $fields, $options = Read-UssCall $Cmdlet $Bound $Command $Packages
    $run = @()
    if ($Bound.ContainsKey('ThrottleLimit')) { $run += 'throttleLimit', $Bound['ThrottleLimit'] }
    if ($Bound.ContainsKey('MaxBytesPerSecond')) { $run += 'maxBytesPerSecond', $Bound['MaxBytesPerSecond'] }
    $activity = $script:Activities[$Command]
    $connections = @()
    $plan = [long[]] @(0)
    try {
        $connections += Open-UssServer $Cmdlet $Bound $options 'Source' $Bound['SourceServer']
        $fields += 'source', $connections[0].Id
        foreach ($server in @($Bound['Server'])) {
            $connections += Open-UssServer $Cmdlet $Bound $options '' $server
            $fields += 'destination', $connections[-1].Id
        }
        $agreed = $true
        $destination = $null
        $rows = foreach ($row in @(Invoke-UssFields $Cmdlet $Bound $fields $activity -Kept $plan)) {
            if ($row.PSTypeNames[0] -ne 'Uss.CopyPlan') { $row; continue }
            $destination = $row.Destination
            if (-not $Cmdlet.ShouldProcess($row.Target, $row.Action)) { $agreed = $false }
        }
        if ($WhatIf) { return $rows }
        if ($agreed) {
            Invoke-UssFields $Cmdlet $Bound (@('command', 'copy', 'plan', $plan[0]) + $run) $activity -Stream -Destination $destination
        }
    }
    finally {
        Close-UssOperation $plan[0]
        foreach ($connection in $connections) { Close-UssServer $connection }
    }
}

function Invoke-UssFields {
    # Invoke-UssOperation with the log level that the caller's preferences ask for.
    param($Cmdlet, $Bound, $Fields, $Activity, $Kept, [switch] $Stream, $Destination)
    if (-not $script:Formats) {
        # The format view is loaded for the first objects, not at import.
        Import-Module "$PSScriptRoot/Uss.format.psd1" -Verbose:$false
        $script:Formats = $true
    }
    if ($Bound['Debug'] -or (-not $Bound.ContainsKey('Debug') -and $DebugPreference -ne 'SilentlyContinue')) { $Fields += 'log', 'debug' }
    elseif ($Bound['Verbose'] -or (-not $Bound.ContainsKey('Verbose') -and $VerbosePreference -ne 'SilentlyContinue')) { $Fields += 'log', 'verbose' }
    $fatal = 'connect', 'plan-copy', 'plan-copy-installer' -contains $Fields[1]
    Invoke-UssOperation $Cmdlet $Fields $Activity -Kept $Kept -Stream:$Stream -Destination $Destination -Fatal:$fatal
}

# ---- Connections of this runspace

function Add-UssConnection {
    # Connect-UssServer: signs in, and makes it this runspace's default. A failure leaves the previous one.
    param($Cmdlet, $Bound)
    $server = Find-UssServer $Cmdlet $Bound $Bound['Server']
    if ($server -isnot [string]) { $server = $server.Server }
    $fields, $options = Read-UssCall $Cmdlet $Bound 'connect'
    $connection = Open-UssServer $Cmdlet $Bound $options '' $server -New
    try {
        $object = Invoke-UssFields $Cmdlet $Bound ($fields + @('connection', $connection.Id)) 'Connecting'
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
    # Disconnect-UssServer: ends the default connection, the one of an object, or all of a server.
    param($Cmdlet, $Bound)
    $server = $Bound['Server']
    if ($null -eq $server) { $ending = @($script:Default) }
    elseif (Test-UssConnection $server) {
        $id = Get-UssHandle $Cmdlet $server
        $ending = @(foreach ($connection in $script:Connections) { if ($connection.Id -eq $id) { $connection } })
    }
    else {
        $origin = Get-UssOrigin $server
        $ending = @(foreach ($connection in $script:Connections) { if ($origin -and $connection.Origin -eq $origin) { $connection } })
    }
    if (-not $ending) {
        Stop-UssCmdlet $Cmdlet 'NotConnected' 'There is no such connection in this session.' 'Get-UssConnection lists the connections.' 'ConnectionError' $server
    }
    foreach ($connection in $ending) {
        Close-UssConnection $connection.Id
        $connection.Object.Default = $false
        if ($connection -eq $script:Default) { $script:Default = $null }
    }
    $script:Connections = @(foreach ($connection in $script:Connections) { if ($ending -notcontains $connection) { $connection } })
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
    param($Cmdlet, $Bound, $Options, $Side, $Server, [switch] $New)
    $credential = $Bound[$Side + 'Credential']
    if ($Server -isnot [string] -or $credential -isnot [pscredential] -or $script:Connections) {
        $known, $Server, $Options, $credential = Find-UssEnd $Cmdlet $Bound $Options $Side $Server $New
        if ($known) { return @{ Id = $known; Own = $false } }
    }
    $fields = @('server', $Server) + $Options
    $secret = $null
    if ($null -ne $credential) {
        $fields += 'user', $credential.UserName
        $secret = $credential.Password
    }
    $id = Open-UssConnection $Cmdlet $fields $secret
    @{ Id = $id; Own = $true; Server = $Server; Options = $Options; Credential = $credential }
}

function Find-UssEnd {
    # An end of a call of which not both the address and the credential were given, or that may be known: the id of a
    # connection that serves, else 0 and the address, options and credential to open one with.
    param($Cmdlet, $Bound, $Options, $Side, $Server, $New)
    $parameter = $Side + 'Credential'
    $credential = $Bound[$parameter]
    if ($null -ne $credential -and $credential -isnot [pscredential]) { Stop-UssCredential $Cmdlet $parameter $credential }
    $Server = Find-UssServer $Cmdlet $Bound $Server
    if ($Server -isnot [string]) {
        if ($null -ne $credential) {
            Stop-UssCmdlet $Cmdlet 'InvalidArgument' "-$parameter beside a connection object, which has its own." 'Leave one of them out, or name the server by its address.'
        }
        return Get-UssHandle $Cmdlet $Server
    }
    $origin = Get-UssOrigin $Server
    $known = $null
    foreach ($connection in $script:Connections) { if ($origin -and $connection.Origin -eq $origin) { $known = $connection } }
    if ($null -eq $known) {
        if ($null -eq $credential -and $origin) { $Options += Get-UssUser $Side $origin }
    }
    elseif ($null -eq $credential) {
        if (-not $New -and -not $Options -and $known.Server -eq $Server) { return $known.Id }
        $credential = $known.Credential
        $Options = Join-UssOption $known.Options $Options
    }
    else { $Options = Join-UssOption $known.Options $Options 'user', 'tokenVariable' }
    0
    $Server
    , @($Options)
    $credential
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
    # The user and token of the environment, if they are for this origin. The token is read natively, by its name.
    param($Side, $Origin)
    $prefix = if ($Side) { 'USS_SOURCE' } else { 'USS' }
    $user = [System.Environment]::GetEnvironmentVariable("${prefix}_USERNAME")
    if ($user -and (Get-UssOrigin ([System.Environment]::GetEnvironmentVariable("${prefix}_SERVER"))) -eq $Origin) {
        'user', $user, 'tokenVariable', "${prefix}_PERSONAL_TOKEN"
    }
}

function Open-UssProxy {
    # A connection that stands for the proxy's user and password.
    param($Cmdlet, $Bound)
    $credential = $Bound['ProxyCredential']
    if ($credential -isnot [pscredential]) { Stop-UssCredential $Cmdlet 'ProxyCredential' $credential }
    Open-UssConnection $Cmdlet @('server', $Bound['Proxy'], 'user', $credential.UserName, 'allowUnencryptedAuthentication', 'true') $credential.Password
}

function Stop-UssCredential {
    # Nothing ever prompts for a credential.
    param($Cmdlet, $Parameter, $Value)
    Stop-UssCmdlet $Cmdlet 'InvalidArgument' "-$Parameter takes a PSCredential, not a $($Value.GetType().FullName)." `
        'Make one with New-Object PSCredential USER, (ConvertTo-SecureString TOKEN -AsPlainText -Force), or with Get-Credential.' 'InvalidArgument' $Parameter
}

function Get-UssOrigin {
    # Scheme, host and port of an address; nothing for one that two readers could understand differently, so that no
    # secret is matched with it.
    param($Server)
    if ("$Server" -notmatch '^\s*((?<scheme>https?)://)?(?<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?<port>[0-9]{1,5}))?(/|\s*$)') { return }
    $scheme = if ($Matches.ContainsKey('scheme')) { $Matches.scheme } else { 'https' }
    $port = if ($Matches.ContainsKey('port')) { [int] $Matches.port } elseif ($scheme -eq 'http') { 80 } else { 443 }
    "${scheme}://$($Matches.host):$port"
}

# ---- Parameters as fields

function Read-UssCall {
    # What the parameters say: two lists of names and values, the fields of the command and the options of its
    # connections.
    param($Cmdlet, $Bound, $Command, $Packages)
    $fields = @('command', $Command)
    $options = @()
    foreach ($element in $Packages) {
        if ($element -is [string] -and $element) { $id = $element; $query = $Bound['VersionQuery'] }
        else { $id, $query = Read-UssElement $Cmdlet $Bound $element }
        $fields += 'packageId', $id, 'versionQuery', $query
    }
    foreach ($parameter in $Bound.Keys) {
        if ($script:OwnParameters[$parameter]) { continue }
        $field = $script:OptionFields[$parameter]
        if ($field) { $options += $field, (Convert-UssOption $Cmdlet $Bound $parameter) }
        else { $fields += @(Convert-UssParameter $Cmdlet $Bound $parameter) }
    }
    $routes = [System.Environment]::GetEnvironmentVariable('USS_ROUTES')
    if ($routes -and -not $Bound['RouteFile']) { $options += 'routeFile', $Cmdlet.GetUnresolvedProviderPathFromPSPath($routes) }
    , $fields
    , $options
}

function Convert-UssOption {
    # The value of a transport option.
    param($Cmdlet, $Bound, $Parameter)
    $value = $Bound[$Parameter]
    if ($Parameter -eq 'ProxyCredential') { return Open-UssProxy $Cmdlet $Bound }
    if ($Parameter -eq 'SkipCertificateCheck' -and $value -and -not $script:Warned) {
        $script:Warned = $true
        $Cmdlet.WriteWarning('Certificates are not checked: whoever is between here and the server can read the token.')
    }
    Convert-UssValue $Cmdlet $Parameter $value
}

function Convert-UssParameter {
    # The fields of any other parameter of a command; none for those that are not the command's.
    param($Cmdlet, $Bound, $Parameter)
    $field = $script:CommandFields[$Parameter]
    if ($null -eq $field) { return }
    if ($Parameter -eq 'Body') { return Read-UssBody $Bound[$Parameter] }
    foreach ($value in $Bound[$Parameter]) {
        if ($Parameter -eq 'Dependencies') { Read-UssDependency $Cmdlet $value }
        else { $field; Convert-UssValue $Cmdlet $Parameter $value }
    }
}

function Convert-UssValue {
    # Switches as true and false, paths as the file system's.
    param($Cmdlet, $Parameter, $Value)
    if ($Value -is [switch]) { if ($Value) { return 'true' }; return 'false' }
    if ($script:PathParameters -contains $Parameter) { return $Cmdlet.GetUnresolvedProviderPathFromPSPath($Value) }
    $Value
}

function Read-UssElement {
    # Id and version query of a string, a dictionary or an object. An explicit -VersionQuery wins.
    param($Cmdlet, $Bound, $Element)
    if ($Element -is [string]) { $id = $Element; $query = '' }
    else {
        $id = Get-UssValue $Element 'PackageId', 'Id'
        $query = Get-UssValue $Element 'VersionQuery', 'Version'
    }
    if (-not $id) {
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' "A $($Element.GetType().Name) names no package: it has neither PackageId nor Id, but $(Get-UssName $Element)." `
            'Give ids, or objects or hashtables with PackageId or Id, and VersionQuery or Version.' 'InvalidArgument' $Element
    }
    if ($Bound.ContainsKey('VersionQuery')) { $query = $Bound['VersionQuery'] }
    $id
    "$query"
}

function Read-UssDependency {
    # The fields of one element of -Dependencies.
    param($Cmdlet, $Element)
    $id, $query = Read-UssElement $Cmdlet @{} $Element
    'dependencyId'; $id; 'dependencyVersionQuery'; $query
    foreach ($flag in 'Optional', 'OnlyRestrictVersion') {
        "dependency$flag"
        if ("$(Get-UssValue $Element $flag)" -eq 'true') { 'true' } else { 'false' }
    }
}

function Read-UssBody {
    # The fields of -Body: a string as it is, bytes as they are, anything else as JSON.
    param($Body)
    if ($body -is [string]) { return 'body', $body }
    if ($body -is [byte[]]) { return 'bodyBase64', [System.Convert]::ToBase64String($body) }
    'body', (ConvertTo-UssJson $body)
}

function Get-UssValue {
    # The first of $Names that the element has, as text.
    param($Element, [string[]] $Names)
    foreach ($name in $Names) {
        if ($Element -is [System.Collections.IDictionary]) { $value = $Element[$name] }
        else {
            $property = $Element.PSObject.Properties[$name]
            $value = if ($null -ne $property) { $property.Value }
        }
        if ($null -ne $value) { return "$value" }
    }
}

function Get-UssName {
    # What an element has, for an error.
    param($Element)
    $names = if ($Element -is [System.Collections.IDictionary]) { @($Element.Keys) } else { @(foreach ($property in $Element.PSObject.Properties) { $property.Name }) }
    if ($names) { $names -join ', ' } else { 'nothing' }
}

function ConvertTo-UssJson {
    # A body's JSON: dictionaries and objects, arrays, plain values.
    param($Value)
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [bool] -or $Value -is [switch]) { if ($Value) { return 'true' } else { return 'false' } }
    if ($Value -is [datetime]) { $Value = $Value.ToUniversalTime().ToString('o') }
    if ($Value -is [string] -or $Value -is [char] -or $Value -is [guid] -or $Value -is [uri] -or $Value -is [version] -or $Value -is [enum] -or $Value -is [timespan]) {
        $text = [regex]::Replace("$Value", '["\\\x00-\x1f]', { param($found) '\u{0:x4}' -f [int] $found.Value[0] })
        return "`"$text`""
    }
    if ($Value -is [System.ValueType]) { return "$Value" }
    if ($Value -is [System.Collections.IDictionary]) {
        $members = foreach ($key in $Value.Keys) { "$(ConvertTo-UssJson "$key"):$(ConvertTo-UssJson $Value[$key])" }
        return "{$($members -join ',')}"
    }
    if ($Value -is [System.Collections.IEnumerable]) {
        $elements = foreach ($element in $Value) { ConvertTo-UssJson $element }
        return "[$($elements -join ',')]"
    }
    $members = foreach ($property in $Value.PSObject.Properties) { "$(ConvertTo-UssJson $property.Name):$(ConvertTo-UssJson $property.Value)" }
    "{$($members -join ',')}"
}

# ---- Completion

function Complete-UssWord {
    # What fits the word: connected servers, and what the server tells within 300 ms. Nothing on failure.
    [CmdletBinding()]
    param($CommandName, $ParameterName, $WordToComplete, $CommandAst, $FakeBoundParameters)
    $bound = @{}
    foreach ($name in $FakeBoundParameters.Keys) { $bound[$name] = $FakeBoundParameters[$name] }
    $word = "$WordToComplete".Trim("'", '"')
    $connection = @{ Own = $false }
    try {
        if ($ParameterName -like '*Server') {
            $values = @(foreach ($known in $script:Connections) { $known.Object.Server }
                [System.Environment]::GetEnvironmentVariable('USS_SERVER')
                [System.Environment]::GetEnvironmentVariable('USS_SOURCE_SERVER'))
        }
        else {
            $side = if ($CommandName -like 'Copy-*FromServer') { 'Source' } else { '' }
            $null, $options = Read-UssCall $PSCmdlet $bound ''
            $connection = Open-UssServer $PSCmdlet $bound $options $side $bound[$side + 'Server']
            $command, $property = switch ($ParameterName) {
                'VersionQuery' { @('command', 'versions', 'packageId', "$(@($bound['PackageId'])[0])", 'versionQuery', '*', 'all', 'true'), 'Version' }
                'InstallerId' { @('command', 'installers'), 'Id' }
                'Name' { @('command', 'installers'), 'Name' }
                default { @('command', 'packages', 'id', "$word*"), 'Id' }
            }
            $values = @(Invoke-UssOperation $PSCmdlet ($command + @('connection', $connection.Id)) -Limit 300 -Fatal | ForEach-Object { $_.$property })
        }
        $seen = @{}
        foreach ($value in $values) {
            if (-not $value -or $seen[$value] -or -not $value.StartsWith($word, 'OrdinalIgnoreCase')) { continue }
            $seen[$value] = $true
            $text = if ($value -match '^[\w./:+-]+$') { $value } else { "'$($value.Replace("'", "''"))'" }
            [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $value)
        }
    }
    catch { return }
    finally { Close-UssServer $connection }
}
