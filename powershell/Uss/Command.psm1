# The parameters of Uss's cmdlets as fields of commands. Loaded when the first connection is open.
# include/uss.h documents the commands and their fields.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Operation.psm1", "$PSScriptRoot/Uss.format.psd1" -Verbose:$false

# Parameters that are fields of a command.
$script:Fields = @{
    Id = 'id'; Search = 'search'; All = 'all'; IncludeDependencies = 'includeDependencies'; IncludeOptional = 'includeOptional'
    Force = 'force'; SkipDependencyCheck = 'skipDependencyCheck'; InstallerId = 'installerId'; Name = 'name'
    DisplayName = 'displayName'; Description = 'description'; Version = 'version'; OutputDir = 'outputDir'
    InputPath = 'inputPath'; Dependencies = 'dependencies'; Path = 'path'; Method = 'method'; Body = 'body'
    ContentType = 'contentType'; InFile = 'inFile'; OutFile = 'outFile'; Expires = 'expires'; NeverExpires = 'neverExpires'
    ClientService = 'clientService'; NoDescription = 'noDescription'
}
$script:PathParameters = 'OutputDir', 'InputPath', 'InFile', 'OutFile'

function Read-UssField {
    # What the parameters say to the command: a list of names and values.
    param($Cmdlet, $Bound, $Packages)
    $fields = @()
    foreach ($element in $Packages) {
        if ($element -is [string] -and $element) { $id = $element; $query = $Bound['VersionQuery'] }
        else { $id, $query = Read-UssElement $Cmdlet $Bound $element }
        $fields += 'packageId', $id, 'versionQuery', $query
    }
    foreach ($parameter in $Bound.Keys) {
        if ($script:Fields[$parameter]) { $fields += @(Convert-UssParameter $Cmdlet $Bound $parameter) }
    }
    , $fields
}

function Convert-UssParameter {
    # The fields of a parameter.
    param($Cmdlet, $Bound, $Parameter)
    if ($Parameter -eq 'Body') { return Read-UssBody $Bound[$Parameter] }
    foreach ($value in $Bound[$Parameter]) {
        if ($Parameter -eq 'Dependencies') { Read-UssDependency $Cmdlet $value; continue }
        $script:Fields[$Parameter]
        if ($value -is [switch]) { if ($value) { 'true' } else { 'false' } }
        elseif ($value -is [datetime]) { $value.ToUniversalTime().ToString('o') }
        elseif ($script:PathParameters -contains $Parameter) { $Cmdlet.GetUnresolvedProviderPathFromPSPath($value) }
        else { $value }
    }
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
    if ($Value -is [System.DateTimeOffset]) { $Value = $Value.UtcDateTime }
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
