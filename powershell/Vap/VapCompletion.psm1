# Completes arguments of the cmdlets of Vap. Loaded with the first one.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Platform.psm1", "$PSScriptRoot/Operation.psm1", "$PSScriptRoot/Native.psm1" -Verbose:$false

function Complete-VapWord {
    # What fits the word: connected platforms, methods and parameters of the platform's description, and what the
    # platform tells within 300 ms. Nothing on failure.
    [CmdletBinding()]
    param($CommandName, $ParameterName, $WordToComplete, $CommandAst, $FakeBoundParameters)
    $word = "$WordToComplete".Trim("'", '"')
    $told = @{}
    try {
        $values = @(switch ($ParameterName) {
                'Server' { foreach ($known in Read-VapConnection) { $known.Server }; [System.Environment]::GetEnvironmentVariable('VAP_SERVER') }
                'Method' { Read-VapMethod $PSCmdlet $word | ForEach-Object { $told[$_.Method] = $_.Summary; $_.Method } }
                'Parameter' {
                    $path = "$($FakeBoundParameters['Method'])".Replace('/rest/', '/')
                    $method = @(Read-VapMethod $PSCmdlet $path | Select-VapMethod $path)[0]
                    if ($null -ne $method) {
                        # What has to be there, and then all of it.
                        foreach ($names in $method.Required, $method.Parameters) {
                            if ($names) { "@{ $(@(foreach ($name in $names) { "$name = ''" }) -join '; ') }" }
                        }
                        if (-not $method.Parameters) { '@{}' }
                    }
                }
                'Scope' { Request-VapRow $PSCmdlet $FakeBoundParameters 'platform-scopes' $true @('search', $word) | ForEach-Object { if ($_.Kind -eq 'Set') { $_.Name } } }
                'Name' {
                    if ($CommandName -eq 'Get-VapTokenScope') { Request-VapRow $PSCmdlet $FakeBoundParameters 'platform-scopes' $true @('search', $word) | ForEach-Object { $_.Name } }
                    else { Request-VapRow $PSCmdlet $FakeBoundParameters 'platform-environments' | ForEach-Object { $_.Name } }
                }
            })
        $seen = @{}
        foreach ($value in $values) {
            $fits = $value -and ($ParameterName -eq 'Parameter' -or $value.IndexOf($word, [System.StringComparison]::OrdinalIgnoreCase) -ge 0)
            if (-not $fits -or $seen[$value]) { continue }
            $seen[$value] = $true
            $text = if ($ParameterName -eq 'Parameter' -or $value -match '^[\w./:+-]+$') { $value } else { "'$($value.Replace("'", "''"))'" }
            $tip = if ($told[$value]) { $told[$value] } else { $value }
            [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $tip)
        }
    }
    catch { return }
}

function Read-VapMethod {
    # The methods of the description whose path holds the text; the library knows them without any network.
    param($Cmdlet, $Text)
    Invoke-UssOperation $Cmdlet @{} 'platform-methods' @('search', $Text) -Limit 300 -Fatal
}

function Select-VapMethod {
    # The one of exactly this path.
    param([Parameter(Position = 0)] $Path, [Parameter(ValueFromPipeline)] $Method)
    process { if ($Method.Method -eq $Path) { $Method } }
}

function Request-VapRow {
    # The rows of a command, if the platform answers in time.
    param($Cmdlet, $Bound, $Command, $SignIn, $Fields = @())
    $connection = Open-VapPlatform $Cmdlet $Bound $SignIn
    try { Invoke-UssOperation $Cmdlet @{} $Command (@('connection', $connection.Id) + $Fields) -Limit 300 -Fatal }
    finally { if ($connection.Own) { Close-UssConnection $connection.Id } }
}
