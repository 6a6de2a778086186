# The demo's script: what an administrator types, shown as typed, with what comes of it.
param(
    [Parameter(Mandatory)] [string] $Module,
    [Parameter(Mandatory)] [string] $Headquarters,
    [Parameter(Mandatory)] [string] $Store,
    [Parameter(Mandatory)] [string] $ServerProgram,
    [Parameter(Mandatory)] [string] $TokenId,
    [Parameter(Mandatory)] [string] $HeadquartersData,
    [Parameter(Mandatory)] [string] $StoreData,
    [switch] $Plain
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

. $PSScriptRoot/screen.ps1

# Without a terminal PowerShell draws no progress: the copy runs in a runspace whose progress is written as lines.
function Show-WithProgressLines([scriptblock] $Command) {
    $text = $Command.ToString().Trim()
    Write-Host "PS> $text"
    # No more than the core commands: the default loads modules that not every Windows host brings.
    $shell = [powershell]::Create([initialsessionstate]::CreateDefault2())
    try {
        $variables = $shell.Runspace.SessionStateProxy
        # Connections hold in the whole process, so the other runspace is signed in with these.
        $variables.SetVariable('Headquarters', (Get-UssConnection | Where-Object Server -Like "$Headquarters*"))
        $variables.SetVariable('Store', (Get-UssConnection | Where-Object Server -Like "$Store*"))
        $null = $shell.AddCommand('Import-Module').AddArgument($Module).AddStatement().AddScript($text)
        $running = $shell.BeginInvoke()
        $next = 0
        do {
            $ended = $running.AsyncWaitHandle.WaitOne(100)
            foreach ($record in @($shell.Streams.Progress.ReadAll() | Where-Object ActivityId -EQ 80600)) {
                if ($record.PercentComplete -ge $next) {
                    Write-Host ('    {0} {1,3} %  {2}' -f $record.Activity, $record.PercentComplete, $record.StatusDescription)
                    $next = [Math]::Floor($record.PercentComplete / 20) * 20 + 20
                }
            }
        } until ($ended)
        $script:result = @($shell.EndInvoke($running))
        foreach ($problem in $shell.Streams.Error) { throw $problem }
    }
    finally { $shell.Dispose() }
    $script:result | Out-Host
}

function uss-server { & $ServerProgram @args }

$started = [DateTime]::UtcNow
Import-Module $Module
$ada = New-Credential 'ada' $env:DEMO_HEADQUARTERS_TOKEN
$grace = New-Credential 'grace' $env:DEMO_STORE_TOKEN

Write-Chapter 1 'Sign in to both servers with personal access tokens'
Show { Connect-UssServer $Headquarters -Credential $ada }
Show { Connect-UssServer $Store -Credential $grace }

Write-Chapter 2 'Look up a bundle'
Show { Get-UssPackageVersion bundle/my-pos -VersionQuery '>=1.0 <2.0' -Server $Headquarters }
Show { Resolve-UssDependency bundle/my-pos -Server $Headquarters }

Write-Chapter 3 'The plan: what would be copied'
Show { Copy-UssPackageFromServer bundle/my-pos -SourceServer $Headquarters -Server $Store -WhatIf }

Write-Chapter 4 'Copy it (held to 80 MB/s, so that there is something to see)'
$watch = [Diagnostics.Stopwatch]::StartNew()
$copy = { Copy-UssPackageFromServer bundle/my-pos -SourceServer $Headquarters -Server $Store -MaxBytesPerSecond 80000000 }
if ($Plain) { Show-WithProgressLines $copy } else { Show $copy }
$watch.Stop()
$copied = $result
$bytes = ($copied | Measure-Object Size -Sum).Sum
if ($copied.Count -ne 5 -or @($copied | Where-Object Status -NE 'Copied').Count) { throw 'Five packages should have been copied.' }
Write-Fact ('{0} packages, {1:0} MB in {2:0.0} s; nothing touched the disk on the way' -f $copied.Count, ($bytes / 1e6), $watch.Elapsed.TotalSeconds)

Write-Chapter 5 'The proof: both sides hold the same bytes'
$digests = foreach ($row in $copied) {
    $at = { param($server) (Get-UssPackageVersion $row.Id -VersionQuery $row.Version -Server $server).Sha256 }
    $source = & $at $Headquarters
    $destination = & $at $Store
    [pscustomobject] @{ Package = "$($row.Id) $($row.Version)"; Headquarters = $source.Substring(0, 24); Store = $destination.Substring(0, 24); Same = $source -ceq $destination -and $source -ceq $row.Sha256 }
}
$digests | Format-Table | Out-Host
if (@($digests | Where-Object Same -NE $true).Count) { throw 'The digests differ.' }
Show { uss-server check --data $StoreData }
if ($LASTEXITCODE) { throw 'The store does not hold what it says.' }
Write-Fact 'Read back from the store, every package has the digest of its original.'

Write-Chapter 6 'Once more: what is there already is not sent again'
Show { Copy-UssPackageFromServer bundle/my-pos -SourceServer $Headquarters -Server $Store }
if (@($result | Where-Object Status -NE 'Skipped').Count) { throw 'Nothing should have been sent again.' }

Write-Chapter 7 'The administrator at headquarters revokes the token'
Show { uss-server token revoke $TokenId --data $HeadquartersData }
Show-Refusal { Get-UssPackageVersion bundle/my-pos -Server $Headquarters }

Write-Host ''
Write-Fact ('Done in {0:0} s; the servers and their data are removed. Your turn: cargo xtask stage --out modules' -f ([DateTime]::UtcNow - $started).TotalSeconds)
