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
    try {
        if ($ParameterName -like '*Server') {
            $values = @(foreach ($known in Read-UssConnection) { $known.Server }
                [System.Environment]::GetEnvironmentVariable('USS_SERVER')
                [System.Environment]::GetEnvironmentVariable('USS_SOURCE_SERVER'))
        }
        else {
            $side = if ($CommandName -like 'Copy-*FromServer') { 'Source' } else { '' }
            $options = @(Read-UssOption $PSCmdlet $bound)
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
