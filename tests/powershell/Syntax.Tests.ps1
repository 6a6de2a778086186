# The check for Windows PowerShell 5.1 finds what it is there for: one seeded violation of each kind.

BeforeAll {
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-syntax-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null

    function Get-Finding {
        # What the check says of a file with this text, without the file's name.
        param([string] $Text)
        $file = Join-Path $folder 'seeded.ps1'
        Set-Content $file $Text
        & $PSScriptRoot/Test-UssSyntax.ps1 $file | ForEach-Object { "$_".Replace("${file}:", '') }
    }
}

AfterAll { Remove-Item $folder -Recurse -Force }

Describe 'The check for Windows PowerShell 5.1' {
    It 'finds nothing in module <_>' -ForEach 'Uss', 'Vap' {
        $files = (Get-ChildItem (Join-Path (Split-Path $env:USS_TEST_MODULE) $_) -File | Where-Object Extension -In '.psm1', '.psd1').FullName
        $files | Should -Not -BeNullOrEmpty
        & $PSScriptRoot/Test-UssSyntax.ps1 @files | Should -BeNullOrEmpty
    }

    It 'says <Says>' -ForEach @(
        @{ Seed = '$x = $true ? 1 : 2'; Says = '1:6: ternary' }
        @{ Seed = '$y = $null ?? 3'; Says = '1:6: ??:' }
        @{ Seed = '$y ??= 4'; Says = '1:1: ??=' }
        @{ Seed = '$z = ${y}?.Length'; Says = '1:6: ?.' }
        @{ Seed = '$z = ${y}?[0]'; Says = '1:6: ?[]' }
        @{ Seed = 'Get-Job && Get-Job'; Says = '1:1: && or ||' }
        @{ Seed = 'Get-Job || Get-Job'; Says = '1:1: && or ||' }
        @{ Seed = 'Get-Job &'; Says = '1:1: background' }
        @{ Seed = 'using namespace System.IO'; Says = '1:1: using' }
        @{ Seed = 'class C { }'; Says = '1:1: class' }
        @{ Seed = 'enum E { A }'; Says = '1:1: class or enum' }
        @{ Seed = 'function f { clean { } }'; Says = '1:14: clean' }
        @{ Seed = '$n = 0b101'; Says = '1:6: number' }
        @{ Seed = '$u = 5u'; Says = '1:6: number' }
        @{ Seed = '$u = 5y'; Says = '1:6: number' }
        @{ Seed = '$u = 5n'; Says = '1:6: number' }
        @{ Seed = '$e = "`e[0m"'; Says = '1:6: `e' }
        @{ Seed = '$x = $y.Of[int](1)'; Says = '1:6: generic' }
        @{ Seed = 'if ($IsWindows) { }'; Says = '1:5: variable' }
        @{ Seed = 'Write-Host hi'; Says = '1:1: command Write-Host' }
        @{ Seed = 'ls'; Says = '1:1: command ls' }
        @{ Seed = 'Add-Type -TypeDefinition x'; Says = '1:1: command Add-Type' }
        @{ Seed = 'Microsoft.PowerShell.Utility\Get-Date'; Says = '1:1: command' }
        @{ Seed = '. ./other.ps1'; Says = '1:1: ' }
        @{ Seed = '& $cmd'; Says = '1:1: computed' }
        @{ Seed = '1..3 | ForEach-Object -Parallel { 1 }'; Says = '1:23: parameter -Parallel' }
        @{ Seed = '1..3 | ForEach-Object -Par { 1 }'; Says = '1:23: parameter -Par' }
        @{ Seed = '1..3 | Where-Object -Not Length'; Says = '1:21: parameter -Not' }
        @{ Seed = 'Import-Module x -UseWindowsPowerShell'; Says = '1:17: parameter' }
        @{ Seed = '[System.Text.Json.JsonDocument]::Parse(1)'; Says = '1:1: type System.Text.Json.JsonDocument' }
        @{ Seed = '[System.HashCode[]] @()'; Says = '1:1: type System.HashCode' }
        @{ Seed = 'param([semver] $x)'; Says = '1:7: type semver' }
        @{ Seed = 'param([ValidateNotNullOrWhiteSpace()] $x)'; Says = '1:7: type ValidateNotNullOrWhiteSpace' }
        @{ Seed = '[System.Runtime.InteropServices.Marshal]::PtrToStringUTF8(0)'; Says = '1:1: static member PtrToStringUTF8' }
        @{ Seed = '[string]::IsNullOrWhitespaces("")'; Says = '1:1: static member' }
        @{ Seed = '$type::HashData(1)'; Says = '1:1: static member HashData' }
        @{ Seed = '$text.ReplaceLineEndings()'; Says = '1:1: member ReplaceLineEndings' }
        @{ Seed = '$text.Split("ab")'; Says = '1:1: Split by a text' }
        @{ Seed = '$rid = [System.Runtime.InteropServices.RuntimeInformation]::RuntimeIdentifier'; Says = '1:8: RuntimeIdentifier is only in .NET Core' }
        @{ Seed = "`$x = '$([char] 233)'"; Says = '1:1: non-ASCII' }
        @{ Seed = "`n`nif ("; Says = '3:5: parse error' }
    ) {
        @(Get-Finding $Seed) -join "`n" | Should -Match ([regex]::Escape($Says))
    }

    It 'passes what 5.1 has' {
        $legal = 'function Get-Seed {
            [CmdletBinding()]
            param([Parameter(Mandatory)] [string[]] $Name, [switch] $Force)
            begin { $all = [System.Collections.ArrayList] @(); $numbers = 5, 5L, 0x1F, 1kb, 1.5d }
            process { :outer foreach ($one in $Name) { if (-not $one.Trim()) { continue outer }; [void] $all.Add([ordered] @{ a = $one }) } }
            end { try { [string]::Format([cultureinfo]::InvariantCulture, "{0}", $all.Count) } finally { $numbers | ForEach-Object { "$_" } | Out-Null } }
        }
        Get-Seed -Name a -Force; $text = "a`tb" -split "ab" -replace "a", "b"; @($text | Where-Object { $_ })'
        Get-Finding $legal | Should -BeNullOrEmpty
    }

    It 'finds what the allow-list holds and nothing uses' {
        Copy-Item $PSScriptRoot/Test-UssSyntax.ps1, $PSScriptRoot/windows-powershell-5.1.txt $folder
        Set-Content "$folder/windows-powershell-5.1.txt" 'System.Math | Max Min', 'System.Random | new', 'own | Length'
        Set-Content "$folder/seeded.ps1" '[System.Math]::Min(1, "".Length)'
        $found = @(& $folder/Test-UssSyntax.ps1 -Whole $folder/seeded.ps1) -join "`n"
        $found | Should -Match 'nothing uses Max of System.Math'
        $found | Should -Match 'nothing uses System.Random'
        $found | Should -Not -Match 'Min of|Length of'
    }
}

Describe 'The comparison of the allow-list with an assembly' {
    It 'finds what the assembly has not, and nothing else' {
        $assemblies = Join-Path $folder 'assemblies'
        New-Item -ItemType Directory -Path $assemblies | Out-Null
        Copy-Item ([object].Assembly.Location) $assemblies
        # Of its own, of its base, of an interface; a field, a property, a method, constructors of a class and of a value.
        $there = 'own | Anything', 'System.String | length Split ToString', 'System.IO.FileInfo | FullName new', 'System.Collections.IDictionary | Count',
        'System.IntPtr | Zero new', 'System.Management.Automation.PSObject | Members'
        $absent = 'System.String | Lengthen', 'System.Nothing | new', 'System.Math | new', 'System.IO.File | Exists@Core'
        Set-Content "$folder/list.txt" ($there + $absent)
        $found = @(& $PSScriptRoot/Test-UssFramework.ps1 -Reference $assemblies -List "$folder/list.txt")
        $found -replace ':.*(no|has) (\w+).*', ' $2' | Should -Be 'System.String Lengthen', 'System.Nothing such', 'System.Math new', 'System.IO.File Exists'
    }
}
