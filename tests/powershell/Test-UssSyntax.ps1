# Reports what would not run on Windows PowerShell 5.1, or would need a module beyond the engine.
#   Test-UssSyntax.ps1 FILE...      the files of a module; prints one line for each finding; no output means clean
# Works by the syntax tree of whatever PowerShell runs it (7 sees the newer syntax, 5.1 rejects it as a parse error).
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
# Members that .NET Framework 4.7.2 lacks and that are easily written by habit.
$newerMembers = 'PtrToStringUTF8', 'StringToCoTaskMemUTF8', 'GetRelativePath', 'HashData', 'ToHexString', 'IsWindows', 'IsLinux', 'IsMacOS', 'ProcessPath', 'ReplaceLineEndings'
$newerTypes = 'System.Runtime.InteropServices.NativeLibrary', 'System.Text.Json.*', 'System.HashCode', 'System.Range', 'System.Half', 'System.DateOnly', 'System.TimeOnly',
    'semver', 'System.Management.Automation.SemanticVersion', 'System.Text.Rune', 'System.Span*', 'System.Memory*', 'System.OperatingSystem'
$newerVariables = 'IsWindows', 'IsLinux', 'IsMacOS', 'IsCoreCLR', 'PSStyle', 'EnabledExperimentalFeatures'
$newerParameters = @{ 'ForEach-Object' = 'Parallel', 'ThrottleLimit', 'TimeoutSeconds', 'AsJob', 'UseNewRunspace'; 'Import-Module' = 'SkipEditionCheck', 'UseWindowsPowerShell'; 'Get-Command' = 'UseFuzzyMatching' }

# What the files define themselves: a module's files see each other.
$defined = @(foreach ($file in $args) {
        $tree = [System.Management.Automation.Language.Parser]::ParseFile($file, [ref] $null, [ref] $null)
        foreach ($function in $tree.FindAll({ $args[0] -is [System.Management.Automation.Language.FunctionDefinitionAst] }, $true)) { $function.Name }
    })

foreach ($file in $args) {
    $tokens = $errors = $null
    $tree = [System.Management.Automation.Language.Parser]::ParseFile($file, [ref] $tokens, [ref] $errors)
    $findings = [System.Collections.Generic.List[object]]::new()
    foreach ($e in $errors) { $findings.Add(@($e.Extent, "parse error: $($e.Message)")) }
    $all = $tree.FindAll({ $true }, $true)
    foreach ($node in $all) {
        $text = $node.Extent.Text
        switch ($node.GetType().Name) {
            'TernaryExpressionAst' { $findings.Add(@($node.Extent, 'ternary operator')) }
            'PipelineChainAst' { $findings.Add(@($node.Extent, '&& or ||')) }
            'PipelineAst' { if ($node.Background) { $findings.Add(@($node.Extent, 'background &')) } }
            'UsingStatementAst' { $findings.Add(@($node.Extent, 'using statement')) }
            'UsingExpressionAst' { $findings.Add(@($node.Extent, '$using:')) }
            'TypeDefinitionAst' { $findings.Add(@($node.Extent, 'class or enum')) }
            'BinaryExpressionAst' { if ($node.Operator -eq 'QuestionQuestion') { $findings.Add(@($node.Extent, '??')) } }
            'AssignmentStatementAst' { if ($node.Operator -eq 'QuestionQuestionEquals') { $findings.Add(@($node.Extent, '??=')) } }
            'IndexExpressionAst' { if ($node.NullConditional) { $findings.Add(@($node.Extent, '?[]')) } }
            { $_ -in 'MemberExpressionAst', 'InvokeMemberExpressionAst' } {
                if ($node.NullConditional) { $findings.Add(@($node.Extent, '?.')) }
                if ($node -is [System.Management.Automation.Language.InvokeMemberExpressionAst] -and $node.PSObject.Properties['GenericTypeArguments'] -and $node.GenericTypeArguments) { $findings.Add(@($node.Extent, 'generic method arguments')) }
                if ("$($node.Member)" -in $newerMembers) { $findings.Add(@($node.Extent, "member $($node.Member) isn't in .NET Framework 4.7.2")) }
            }
            { $_ -in 'TypeExpressionAst', 'TypeConstraintAst' } {
                foreach ($pattern in $newerTypes) { if ($node.TypeName.FullName -like $pattern) { $findings.Add(@($node.Extent, "type $($node.TypeName) isn't on 5.1")) } }
            }
            'VariableExpressionAst' { if ($node.VariablePath.UserPath -in $newerVariables) { $findings.Add(@($node.Extent, "variable isn't on 5.1")) } }
            'ScriptBlockAst' { if ($node.PSObject.Properties['CleanBlock'] -and $node.CleanBlock) { $findings.Add(@($node.CleanBlock.Extent, 'clean block')) } }
            'CommandAst' {
                $name = $node.GetCommandName()
                if ($null -eq $name) { if ($node.InvocationOperator -eq 'Dot') { $findings.Add(@($node.Extent, 'dot-sourcing')) }
                    # `& (Get-Module X) command` runs a command of a module.
                    elseif ($node.CommandElements[0].Extent.Text -notmatch '^\(Get-Module \w+\)$') { $findings.Add(@($node.Extent, 'computed command name')) } }
                elseif ($name -notin $defined -and $name -notin $core) { $findings.Add(@($node.Extent, "command $name isn't the module's or the engine's")) }
                elseif ($newerParameters.ContainsKey($name)) {
                    foreach ($element in $node.CommandElements) {
                        if ($element -is [System.Management.Automation.Language.CommandParameterAst] -and $element.ParameterName -in $newerParameters[$name]) { $findings.Add(@($element.Extent, "parameter -$($element.ParameterName) isn't on 5.1")) }
                    }
                }
            }
        }
    }
    foreach ($token in $tokens) {
        if ($token -is [System.Management.Automation.Language.NumberToken] -and $token.Text -match '^0b|(u|y|n|us|uy|ul|s)$' -and $token.Text -notmatch '^0x') { $findings.Add(@($token.Extent, 'number suffix or 0b')) }
        if ($token.Text -match '`[eu]' -and $token.Kind -in 'StringExpandable', 'HereStringExpandable') { $findings.Add(@($token.Extent, '`e or `u escape')) }
    }
    $bytes = [System.IO.File]::ReadAllBytes($file)
    foreach ($b in $bytes) { if ($b -gt 127) { $findings.Add(@($tree.Extent, 'non-ASCII bytes (5.1 reads a file without a byte-order mark as ANSI)')); break } }
    foreach ($finding in $findings) {
        '{0}:{1}: {2}: {3}' -f [System.IO.Path]::GetFileName($file), $finding[0].StartLineNumber, $finding[1], $finding[0].Text.Split("`n")[0].Substring(0, [System.Math]::Min(50, $finding[0].Text.Split("`n")[0].Length))
    }
}
