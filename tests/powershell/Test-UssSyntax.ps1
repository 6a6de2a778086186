# Reports what would not run on Windows PowerShell 5.1, or would need a module beyond the engine.
#   Test-UssSyntax.ps1 [-Whole] FILE...     the files of a module; prints one line for each finding; no output means clean
# With -Whole the files are all there are: what the allow-list holds beyond them is a finding as well.
# What .NET may be used is in windows-powershell-5.1.txt. Works by the syntax tree of whatever PowerShell runs it (7 sees the newer syntax, 5.1 rejects it as a parse error).
param([switch] $Whole, [Parameter(ValueFromRemainingArguments)] [string[]] $Files)
Set-StrictMode -Version Latest

# Microsoft.PowerShell.Core on 5.1 (the functions and cmdlets the engine itself defines).
$core = @(
    'Add-History Clear-History Connect-PSSession Debug-Job Disable-PSRemoting Disable-PSSessionConfiguration Disconnect-PSSession'
    'Enable-PSRemoting Enable-PSSessionConfiguration Enter-PSHostProcess Enter-PSSession Exit-PSHostProcess Exit-PSSession'
    'Export-ModuleMember ForEach-Object Get-Command Get-Help Get-History Get-Job Get-Module Get-PSHostProcessInfo Get-PSSession'
    'Get-PSSessionCapability Get-PSSessionConfiguration Import-Module Invoke-Command Invoke-History New-Module New-ModuleManifest'
    'New-PSRoleCapabilityFile New-PSSession New-PSSessionConfigurationFile New-PSSessionOption New-PSTransportOption Out-Default'
    'Out-Host Out-Null Receive-Job Receive-PSSession Register-ArgumentCompleter Register-PSSessionConfiguration Remove-Job Remove-Module'
    'Remove-PSSession Save-Help Set-PSDebug Set-PSSessionConfiguration Set-StrictMode Start-Job Stop-Job Test-ModuleManifest'
    'Test-PSSessionConfigurationFile Unregister-PSSessionConfiguration Update-Help Wait-Job Where-Object'
).Split(' ')
# The types and members that are allowed, and which of them the files name.
$types = @{}; $members = @{}; $coreOnly = @{}; $used = @{}
$list = "$PSScriptRoot/windows-powershell-5.1.txt"
foreach ($row in [System.IO.File]::ReadAllLines($list)) {
    if (-not $row -or $row.StartsWith('#')) { continue }
    $type, $names, $short = $row.Split('|').Trim()
    $own = @{}
    foreach ($name in "$names".Split(' ', [System.StringSplitOptions]::RemoveEmptyEntries)) {
        $name, $edition = $name.Split('@')
        if ($edition) { $coreOnly["$type::$name"] = $true }
        $own[$name] = $true
        $members[$name] = @($members[$name]) + $type
    }
    $types[$type] = @{ Name = $type; Members = $own }
    if ($short) { $types["$short"] = $types[$type] }
}
# What the language itself knows, and 5.1 as well: casts that are no type.
$casts = 'ordered', 'ref', 'psobject'

function Find-Type {
    # The row of a type literal, arrays by what they hold; null where there is none.
    param($TypeName)
    $name = $TypeName.FullName -replace '(\[,*\])+$'
    if ($types.ContainsKey($name)) { $used[$types[$name].Name] = $true; $types[$name] }
}

$newerVariables = 'IsWindows', 'IsLinux', 'IsMacOS', 'IsCoreCLR', 'PSStyle', 'EnabledExperimentalFeatures'
$newerParameters = @{
    'Enter-PSHostProcess' = @('CustomPipeName'); 'Enter-PSSession' = 'HostName', 'KeyFilePath', 'Subsystem', 'SSHTransport', 'ConnectingTimeout', 'Options'
    'ForEach-Object'      = 'Parallel', 'ThrottleLimit', 'TimeoutSeconds', 'AsJob', 'UseNewRunspace'
    'Get-Command'         = 'UseFuzzyMatching', 'FuzzyMinimumDistance', 'UseAbbreviationExpansion'; 'Get-Module' = 'SkipEditionCheck', 'PSEdition'
    'Import-Module'       = 'SkipEditionCheck', 'UseWindowsPowerShell'
    'Invoke-Command'      = 'HostName', 'KeyFilePath', 'RemoteDebug', 'SSHConnection', 'SSHTransport', 'Subsystem', 'ConnectingTimeout', 'Options'
    'New-PSSession'       = 'UseWindowsPowerShell', 'HostName', 'KeyFilePath', 'SSHConnection', 'SSHTransport', 'Subsystem', 'ConnectingTimeout', 'Options'
    'Start-Job'           = @('WorkingDirectory'); 'Debug-Job' = @('BreakAll'); 'Where-Object' = @('Not'); 'Register-ArgumentCompleter' = @('NativeFallback')
    'Save-Help'           = @('Scope'); 'Update-Help' = @('Scope')
}

# What the files define themselves: a module's files see each other.
$defined = @(foreach ($file in $Files) {
        $tree = [System.Management.Automation.Language.Parser]::ParseFile($file, [ref] $null, [ref] $null)
        foreach ($function in $tree.FindAll({ $args[0] -is [System.Management.Automation.Language.FunctionDefinitionAst] }, $true)) { $function.Name }
    })

foreach ($file in $Files) {
    $tokens = $errors = $null
    $tree = [System.Management.Automation.Language.Parser]::ParseFile($file, [ref] $tokens, [ref] $errors)
    $findings = [System.Collections.Generic.List[object]]::new()
    foreach ($e in $errors) { $findings.Add(@($e.Extent, "parse error: $($e.Message)")) }
    $all = $tree.FindAll({ $true }, $true)
    foreach ($node in $all) {
        $text = $node.Extent.Text
        switch ($node.GetType().Name) {
            'TernaryExpressionAst' { $findings.Add(@($node.Extent, 'ternary operator: use if and else')) }
            'PipelineChainAst' { $findings.Add(@($node.Extent, '&& or ||: use if')) }
            'PipelineAst' { if ($node.Background) { $findings.Add(@($node.Extent, 'background &: use Start-Job')) } }
            'UsingStatementAst' { $findings.Add(@($node.Extent, 'using statement: write the whole name')) }
            'UsingExpressionAst' { $findings.Add(@($node.Extent, '$using:')) }
            'TypeDefinitionAst' { $findings.Add(@($node.Extent, 'class or enum: use functions and records')) }
            'BinaryExpressionAst' { if ($node.Operator -eq 'QuestionQuestion') { $findings.Add(@($node.Extent, '??: use if ($null -eq ...)')) } }
            'AssignmentStatementAst' { if ($node.Operator -eq 'QuestionQuestionEquals') { $findings.Add(@($node.Extent, '??=: use if ($null -eq ...)')) } }
            'IndexExpressionAst' { if ($node.NullConditional) { $findings.Add(@($node.Extent, '?[]: use if')) } }
            { $_ -in 'MemberExpressionAst', 'InvokeMemberExpressionAst' } {
                if ($node.NullConditional) { $findings.Add(@($node.Extent, '?.: use if')) }
                if ($node -is [System.Management.Automation.Language.InvokeMemberExpressionAst] -and $node.PSObject.Properties['GenericTypeArguments'] -and $node.GenericTypeArguments) { $findings.Add(@($node.Extent, 'generic method arguments: cast the arguments')) }
                if ($node.Member -isnot [System.Management.Automation.Language.StringConstantExpressionAst]) { continue }
                $member = $node.Member.Value
                if ($node.Static -and $node.Expression -is [System.Management.Automation.Language.TypeExpressionAst]) {
                    $row = Find-Type $node.Expression.TypeName
                    if ($null -eq $row) { continue }
                    if (-not $row.Members.ContainsKey($member)) { $findings.Add(@($node.Extent, "static member $member of $($row.Name) isn't in the allow-list: use one that is, or add it where .NET Framework 4.7.2 has it")) }
                    elseif ($coreOnly["$($row.Name)::$member"] -and $node.Extent.StartScriptPosition.Line -notmatch '\$PSEdition -eq ''Core''') { $findings.Add(@($node.Extent, "$member is only in .NET Core: ask `$PSEdition on the same line")) }
                    $used["$($row.Name)::$member"] = $true
                }
                elseif ($node.Static) {
                    # A native function of the type that Native.psm1 makes.
                    if ($member -notlike 'uss_*') { $findings.Add(@($node.Extent, "static member $member of a type that isn't named: name the type")) }
                }
                elseif ($member -eq 'Split' -and $node.Arguments[0] -is [System.Management.Automation.Language.StringConstantExpressionAst] -and $node.Arguments[0].Value.Length -ne 1) { $findings.Add(@($node.Extent, 'Split by a text splits at each of its characters on 5.1: use -split')) }
                elseif (-not $members.ContainsKey($member)) { $findings.Add(@($node.Extent, "member $member isn't in the allow-list: use one that is, or add it where .NET Framework 4.7.2 has it")) }
                else { foreach ($owner in $members[$member]) { if ($owner) { $used["${owner}::$member"] = $used[$owner] = $true } } }
            }
            { $_ -in 'TypeExpressionAst', 'TypeConstraintAst', 'AttributeAst' } {
                if ($node.TypeName.FullName -notin $casts -and $null -eq (Find-Type $node.TypeName)) { $findings.Add(@($node.Extent, "type $($node.TypeName.FullName) isn't in the allow-list: use one that is, or add it where .NET Framework 4.7.2 has it")) }
            }
            'VariableExpressionAst' { if ($node.VariablePath.UserPath -in $newerVariables) { $findings.Add(@($node.Extent, "variable isn't on 5.1: ask `$PSEdition or [System.Environment]")) } }
            'ScriptBlockAst' { if ($node.PSObject.Properties['CleanBlock'] -and $node.CleanBlock) { $findings.Add(@($node.CleanBlock.Extent, 'clean block: use try and finally')) } }
            'CommandAst' {
                $name = $node.GetCommandName()
                if ($null -eq $name) { if ($node.InvocationOperator -eq 'Dot') { $findings.Add(@($node.Extent, 'dot-sourcing')) }
                    # `& (Get-Module X) command` runs a command of a module.
                    elseif ($node.CommandElements[0].Extent.Text -notmatch '^\(Get-Module \w+\)$') { $findings.Add(@($node.Extent, 'computed command name')) } }
                elseif ($name -notin $defined -and $name -notin $core) { $findings.Add(@($node.Extent, "command $name isn't the module's or the engine's")) }
                elseif ($newerParameters.ContainsKey($name)) {
                    foreach ($element in $node.CommandElements) {
                        if ($element -is [System.Management.Automation.Language.CommandParameterAst] -and $newerParameters[$name] -like "$($element.ParameterName)*") { $findings.Add(@($element.Extent, "parameter -$($element.ParameterName) of $name isn't on 5.1")) }
                    }
                }
            }
        }
    }
    foreach ($token in $tokens) {
        if ($token -is [System.Management.Automation.Language.NumberToken] -and $token.Text -match '^0b|(u|y|n|us|uy|ul|s)$' -and $token.Text -notmatch '^0x') { $findings.Add(@($token.Extent, 'number suffix or 0b: use a cast, or hexadecimal')) }
        if ($token.Text -match '`[eu]' -and $token.Kind -in 'StringExpandable', 'HereStringExpandable') { $findings.Add(@($token.Extent, '`e or `u escape: use [char]')) }
    }
    $bytes = [System.IO.File]::ReadAllBytes($file)
    foreach ($b in $bytes) { if ($b -gt 127) { $findings.Add(@($tree.Extent, 'non-ASCII bytes (5.1 reads a file without a byte-order mark as ANSI)')); break } }
    foreach ($finding in $findings) {
        '{0}:{1}:{2}: {3}: {4}' -f $file, $finding[0].StartLineNumber, $finding[0].StartColumnNumber, $finding[1], $finding[0].Text.Split("`n")[0].Substring(0, [System.Math]::Min(50, $finding[0].Text.Split("`n")[0].Length))
    }
}
if ($Whole) {
    foreach ($type in $types.Values | Sort-Object { $_.Name } -Unique) {
        if ($type.Name -ne 'own' -and -not $used[$type.Name]) { "${list}: nothing uses $($type.Name): take it out" }
        foreach ($name in $type.Members.get_Keys() | Sort-Object) { if (-not $used["$($type.Name)::$name"]) { "${list}: nothing uses $name of $($type.Name): take it out" } }
    }
}
