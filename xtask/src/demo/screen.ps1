# How a demo shows itself: chapters, commands as they are typed, what comes of them. Dot-sourced; $Plain is the caller's.
$escape = [char] 27

function Write-Chapter([int] $Number, [string] $Text) {
    if ($Plain) { Write-Host "`n== $Number. $Text`n"; return }
    $rule = [string]::new([char] 0x2500, [Math]::Max(4, 92 - $Text.Length))
    Write-Host "`n  $escape[1;36m$Number  $Text$escape[0m  $escape[2m$rule$escape[0m`n"
}

# Shows the command as it is typed, then runs it; keeps what it wrote in $result and shows it.
function Show([scriptblock] $Command) {
    $text = $Command.ToString().Trim()
    Write-Host $(if ($Plain) { "PS> $text" } else { "  $escape[32mPS>$escape[0m $escape[1m$text$escape[0m" })
    $script:result = @(. $Command)
    if ($script:result.Count) { $script:result | Out-Host }
}

function Write-Fact([string] $Text, [bool] $Good = $true) {
    if ($Plain) { Write-Host $Text; return }
    $sign = if ($Good) { "$escape[32m$([char] 0x2713)" } else { "$escape[31m$([char] 0x2717)" }
    Write-Host "  $sign$escape[0m $Text"
}

function New-Credential([string] $UserName, [string] $Token) {
    [pscredential]::new($UserName, (ConvertTo-SecureString $Token -AsPlainText -Force))
}

# Shows a command that has to fail, and how it is refused; $refusal keeps the error.
function Show-Refusal([scriptblock] $Command) {
    $text = $Command.ToString().Trim()
    Write-Host $(if ($Plain) { "PS> $text" } else { "  $escape[32mPS>$escape[0m $escape[1m$text$escape[0m" })
    $script:refusal = $null
    try { $null = & { $ErrorActionPreference = 'Stop'; . $Command } }
    catch { $script:refusal = $_ }
    if ($null -eq $script:refusal) { throw 'This should have been refused.' }
    Write-Fact "refused: $($script:refusal.FullyQualifiedErrorId)" $false
    Write-Host "    $($script:refusal.Exception.Message)"
    $details = $script:refusal.ErrorDetails
    if ($details -and $details.RecommendedAction) { Write-Host "    $($details.RecommendedAction)" }
}
