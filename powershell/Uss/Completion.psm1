# Completes arguments of the cmdlets of Uss. Loaded with the first one.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Session.psm1", "$PSScriptRoot/Operation.psm1" -Verbose:$false

function Complete-UssWord {
    # What fits the word: connected servers, and what the server tells within 300 ms. Nothing on failure.
    [CmdletBinding()]
    param($CommandName, $ParameterName, $WordToComplete, $CommandAst, $FakeBoundParameters)
    $bound = @{}
    foreach ($name in $FakeBoundParameters.Keys) { $bound[$name] = $FakeBoundParameters[$name] }
    $word = "$WordToComplete".Trim("'", '"')
    $connection = @{ Own = $false }
    $names = @{}
    try {
        if ($ParameterName -like '*Server') {
            $values = @(foreach ($known in Read-UssConnection) { $known.Server }
                [System.Environment]::GetEnvironmentVariable('USS_SERVER')
                [System.Environment]::GetEnvironmentVariable('USS_SOURCE_SERVER'))
        }
        else {
            $side = if ($CommandName -like 'Copy-*FromServer') { 'Source' } else { '' }
            $options = @(Read-UssOption $PSCmdlet $bound)
            $tokens = $CommandName -like '*-UssPersonalToken'
            if ($tokens) {
                if ($bound['Credential'] -isnot [pscredential]) { return }
                $options += 'person', 'true'
            }
            $connection = Open-UssServer $PSCmdlet $bound $options $side $bound[$side + 'Server']
            $fields = @('connection', $connection.Id)
            $command, $property = switch ($ParameterName) {
                { $tokens } { 'tokens', $ParameterName; break }
                'VersionQuery' { 'versions', 'Version'; $fields += 'packageId', "$(@($bound['PackageId'])[0])", 'versionQuery', '*', 'all', 'true' }
                'InstallerId' { 'installers', 'Id' }
                'Name' { 'installers', 'Name' }
                default { 'packages', 'Id'; $fields += 'id', "$word*" }
            }
            $rows = @(Invoke-UssOperation $PSCmdlet @{} $command $fields -Limit 300 -Fatal)
            $values = @(foreach ($row in $rows) { $row.$property })
            # An id says nothing to a person: the list shows the token's name.
            if ($tokens) { foreach ($row in $rows) { $names[$row.Id] = $row.Name } }
        }
        $seen = @{}
        foreach ($value in $values) {
            if (-not $value -or $seen[$value] -or -not $value.StartsWith($word, 'OrdinalIgnoreCase')) { continue }
            $seen[$value] = $true
            $text = if ($value -match '^[\w./:+-]+$') { $value } else { "'$($value.Replace("'", "''"))'" }
            $shown = if ($names[$value]) { $names[$value] } else { $value }
            [System.Management.Automation.CompletionResult]::new($text, $shown, 'ParameterValue', $shown)
        }
    }
    catch { return }
    finally { Close-UssServer $connection }
}
