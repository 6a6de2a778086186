# Looking for secrets: the forms that one may hide in, everything that a command put out, and what went over the wire.
Set-StrictMode -Version Latest

# ---- Taps: listeners on loopback, each in a runspace of its own

$script:Wire = {
    # Forwards to $Port, and keeps what passes.
    param($Listener, $Kept, $Answers, $Port)
    $ends = [System.Collections.Generic.List[object]]::new()
    $tasks = [System.Collections.Generic.List[System.Threading.Tasks.Task]]::new()
    $tasks.Add($Listener.AcceptTcpClientAsync())
    $ends.Add($null)
    while ($true) {
        $at = [System.Threading.Tasks.Task]::WaitAny($tasks.ToArray())
        $task, $end = $tasks[$at], $ends[$at]
        if ($null -eq $end) {
            if ($task.IsFaulted -or $task.IsCanceled) { return }
            $client, $server = $task.Result, [System.Net.Sockets.TcpClient]::new('127.0.0.1', $Port)
            foreach ($pair in ($client, $server), ($server, $client)) {
                $end = @{ From = $pair[0].GetStream(); To = $pair[1].GetStream(); Buffer = [byte[]]::new(65536); Close = $pair }
                $ends.Add($end)
                $tasks.Add($end.From.ReadAsync($end.Buffer, 0, 65536))
            }
            $tasks[0] = $Listener.AcceptTcpClientAsync()
            continue
        }
        $count = if ($task.IsFaulted -or $task.IsCanceled) { 0 } else { $task.Result }
        try {
            if ($count) {
                $Kept.Write($end.Buffer, 0, $count)
                $end.To.Write($end.Buffer, 0, $count)
                $tasks[$at] = $end.From.ReadAsync($end.Buffer, 0, 65536)
                continue
            }
        }
        catch [System.Management.Automation.MethodInvocationException] { $count = 0 }
        # One side has ended, or broke off: so does the other.
        foreach ($one in $end.Close) { $one.Close() }
        $tasks.RemoveAt($at)
        $ends.RemoveAt($at)
    }
}

$script:Echo = {
    # Signs anybody in with the bearer $Answers.Bearer or the session $Answers.Session (or nobody, without one), and
    # answers everything else with $Answers.Text. In it {echo} stands for all that the request said, in many forms, and
    # {cut} for its bearer or session after so much space that a client, which reads 64 KiB of a refusal, sees only a part
    # of it.
    param($Listener, $Kept, $Answers, $Port)
    function Get-Echo {
        param([string] $Head, [string] $Body)
        $line = $Head.Replace("`r`n", ' ')
        $said = @($line)
        if ($Body.StartsWith('{')) { $said += $Body; foreach ($value in (ConvertFrom-Json $Body).PSObject.Properties.Value) { $said += "$value" } }
        elseif ($Body) { $said += $Body; foreach ($pair in $Body.Split('&')) { $said += [System.Net.WebUtility]::UrlDecode($pair.Split('=')[1]) } }
        foreach ($word in $line.Split([char[]] ' ?&=') | Where-Object Length -GT 30) { $said += $word, [uri]::UnescapeDataString($word) }
        foreach ($text in $said) {
            $percent = [uri]::EscapeDataString($text)
            $text; $percent; $percent.ToLowerInvariant()
            foreach ($before in '', 'u', 'u:') { [Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes("$before$text")) }
            foreach ($encoding in [System.Text.Encoding]::Unicode, [System.Text.Encoding]::BigEndianUnicode) { [Convert]::ToBase64String($encoding.GetBytes($text)) }
            [Convert]::ToHexString([System.Text.Encoding]::UTF8.GetBytes($text))
        }
    }
    $latin1 = [System.Text.Encoding]::Latin1
    $buffer = [byte[]]::new(65536)
    while ($true) {
        try { $client = $Listener.AcceptTcpClient() } catch { return }
        try {
            $client.ReceiveTimeout = 5000
            $stream = $client.GetStream()
            $head = ''
            while (-not $head.Contains("`r`n`r`n")) {
                $count = $stream.Read($buffer, 0, $buffer.Length)
                if (-not $count) { break }
                $Kept.Write($buffer, 0, $count)
                $head += $latin1.GetString($buffer, 0, $count)
            }
            if (-not $head) { continue }
            $end = $head.IndexOf("`r`n`r`n")
            $body = ''
            if ($head -match '(?i)content-type: application/(json|x-www-form-urlencoded)' -and $head -match '(?i)content-length: (\d{1,4})\r') {
                # A password or a session is in the body.
                $length = [int] $Matches[1]
                while ($head.Length -lt $end + 4 + $length) {
                    $count = $stream.Read($buffer, 0, $buffer.Length)
                    if (-not $count) { break }
                    $Kept.Write($buffer, 0, $count)
                    $head += $latin1.GetString($buffer, 0, $count)
                }
                $body = $head.Substring($end + 4)
            }
            if ($Answers.Session -and $head -match '^POST \S*/rest/signin') {
                $answer = "HTTP/1.1 200 OK`r`nContent-Type: application/json`r`nConnection: close`r`n`r`n{`"result`":0,`"session`":`"$($Answers.Session)`"}"
            }
            elseif ($Answers.Bearer -and $head -match '^POST \S*(authenticate|signin)') {
                $ends = if ($Matches[1] -eq 'signin') { 'expires' } else { 'tokenExpires' }
                $signed = '{"token":"' + $Answers.Bearer + '","user":{},"' + $ends + '":"2099-01-01T00:00:00Z"}'
                $answer = "HTTP/1.1 200 OK`r`nContent-Type: application/json`r`nConnection: close`r`n`r`n$signed"
            }
            else {
                $answer = $Answers.Text
                if ($answer.Contains('{echo}')) {
                    $said = (Get-Echo $head.Substring(0, $end) $body) -join ' '
                    if ($answer.Contains('json')) { $said = $said.Replace('\', '\\').Replace('"', '\"') }
                    $answer = $answer.Replace('{echo}', $said)
                }
                if ($head -match 'Bearer (\S+)') { $answer = $answer.Replace('{cut}', ' ' * (65536 - 40) + $Matches[1]) }
                if ($body -match 'session=([^&]+)') { $answer = $answer.Replace('{cut}', ' ' * (65536 - 40) + [System.Net.WebUtility]::UrlDecode($Matches[1])) }
            }
            $bytes = $latin1.GetBytes($answer)
            $stream.Write($bytes, 0, $bytes.Length)
            $client.Client.Shutdown('Send')
            while ($stream.Read($buffer, 0, $buffer.Length)) { continue }
        }
        catch [System.Management.Automation.MethodInvocationException] { continue } # the client went away
        finally { $client.Close() }
    }
}

function Start-CanaryTap {
    # A wire to $Port, or without one a server that repeats what it is told.
    param([int] $Port)
    $tap = [pscustomobject] @{ Url = ''; Listener = [System.Net.Sockets.TcpListener]::new('127.0.0.1', 0); Kept = [System.IO.MemoryStream]::new(); Answers = [hashtable]::Synchronized(@{}); Shell = New-UssTestRunner }
    $tap.Listener.Start()
    $tap.Url = "http://$($tap.Listener.LocalEndpoint)"
    $work = if ($Port) { $script:Wire } else { $script:Echo }
    $tap.Shell.AddScript("$work").AddArgument($tap.Listener).AddArgument([System.IO.Stream]::Synchronized($tap.Kept)).AddArgument($tap.Answers).AddArgument($Port).BeginInvoke() | Out-Null
    $tap
}

function Stop-CanaryTap {
    process {
        $_.Listener.Stop()
        $_.Shell.Stop()
        $_.Shell.Dispose()
    }
}

function Get-CanaryTraffic {
    # What passed a tap so far.
    param($Tap)
    [System.Text.Encoding]::Latin1.GetString($Tap.Kept.ToArray())
}

# ---- Searching

function Get-CanaryBase64 {
    # The characters of a base64 text that the bytes alone decide, wherever they stand in what was encoded.
    param([byte[]] $Bytes)
    foreach ($shift in 0, 1, 2) {
        $text = [System.Convert]::ToBase64String([byte[]]::new($shift) + $Bytes)
        $first = [int] [System.Math]::Ceiling($shift * 8 / 6)
        $text = $text.Substring($first, [int] [System.Math]::Floor(($shift + $Bytes.Length) * 8 / 6) - $first)
        $text
        $text.Replace('+', '-').Replace('/', '_')
    }
}

function Get-CanaryText {
    # How a piece of a secret may be written in a text.
    param([string] $Piece)
    $Piece
    $percent = [System.Uri]::EscapeDataString($Piece)
    $percent
    [regex]::Replace($percent, '%..', { $args[0].Value.ToLowerInvariant() })
    [System.Net.WebUtility]::UrlEncode($Piece)
    foreach ($encoding in [System.Text.Encoding]::UTF8, [System.Text.Encoding]::Unicode, [System.Text.Encoding]::BigEndianUnicode) {
        $bytes = $encoding.GetBytes($Piece)
        Get-CanaryBase64 $bytes
        $hex = [System.BitConverter]::ToString($bytes)
        $hex; $hex.ToLowerInvariant(); $hex.Replace('-', ''); $hex.Replace('-', '').ToLowerInvariant()
    }
}

function Get-CanaryForm {
    # What no output may hold, white space and NULs left out: pieces of the secret in each form. The pieces are its start
    # and end, as part of a secret is a leak as well, and its longest run of letters and digits, which no way of escaping
    # changes.
    param([string] $Secret)
    $length = [System.Math]::Min(20, $Secret.Length)
    $run = [regex]::Matches($Secret, '[A-Za-z0-9]+').Value | Sort-Object Length -Descending | Select-Object -First 1
    $pieces = $Secret.Substring(0, $length), $Secret.Substring($Secret.Length - $length)
    if ($run.Length -ge 10) { $pieces += $run.Substring(0, [System.Math]::Min(20, $run.Length)) }
    [System.Linq.Enumerable]::Distinct([string[]] @(foreach ($piece in $pieces) { Get-CanaryText $piece }))
}

$script:CanaryForms = @{}

function Find-Canary {
    # Where the secrets ({name: text}) are in texts or bytes. White space may stand anywhere, as consoles wrap lines, and
    # NULs, as each second byte of UTF-16 text is one.
    param([hashtable] $Secrets, [object[]] $In)
    $latin1 = [System.Text.Encoding]::Latin1
    $texts = foreach ($one in $In) {
        if ($one -is [byte[]]) { $latin1.GetString($one) } else { $latin1.GetString([System.Text.Encoding]::UTF8.GetBytes("$one")) }
    }
    $text = $texts -join '|'
    foreach ($blank in "`0", ' ', "`r", "`n", "`t") { $text = $text.Replace($blank, '') }
    foreach ($name in $Secrets.Keys) {
        $secret = $Secrets[$name]
        if (-not $script:CanaryForms.ContainsKey($secret)) { $script:CanaryForms[$secret] = @(Get-CanaryForm $secret) }
        foreach ($form in $script:CanaryForms[$secret]) {
            if (-not $text.Contains($form)) { continue }
            $place = $text.IndexOf($form, [System.StringComparison]::Ordinal)
            $from = [System.Math]::Max(0, $place - 200)
            "$name as '$form' in: $($text.Substring($from, [System.Math]::Min($text.Length - $from, 300)))"
            break
        }
    }
}

function Measure-CanaryMemory {
    # How many blocks of a process's writable memory (Linux) hold each text, after how many bytes were read.
    param([int] $Process, [string[]] $Texts)
    $found = @{ Bytes = 0L }
    foreach ($text in $Texts) { $found[$text] = 0 }
    $buffer = [byte[]]::new(1MB)
    $overlap = 500
    $memory = [System.IO.FileStream]::new("/proc/$Process/mem", 'Open', 'Read', 'ReadWrite', 0)
    try {
        foreach ($line in [System.IO.File]::ReadAllLines("/proc/$Process/maps")) {
            if ($line -notmatch '^([0-9a-f]+)-([0-9a-f]+) rw') { continue }
            $at, $end = $Matches[1, 2] | ForEach-Object { [System.Convert]::ToInt64($_, 16) }
            while ($at -lt $end) {
                $wanted = [int] [System.Math]::Min($buffer.Length, $end - $at)
                try {
                    $memory.Position = $at
                    $count = $memory.Read($buffer, 0, $wanted)
                }
                # What a device owns cannot be read.
                catch [System.Management.Automation.MethodInvocationException] { $count = 0 }
                if ($count -le 0) { $at += $wanted; continue }
                $block = [System.Text.Encoding]::Latin1.GetString($buffer, 0, $count)
                foreach ($text in $Texts) { if ($block.Contains($text)) { $found[$text]++ } }
                $found.Bytes += $count
                $at += $count
                if ($at -lt $end -and $count -gt $overlap) { $at -= $overlap }
            }
        }
    }
    finally { $memory.Dispose() }
    $found
}

# ---- Everything that a command puts out

function Get-CanaryBearer {
    # The bearers that passed a tap, either way.
    param($Tap)
    [regex]::Matches((Get-CanaryTraffic $Tap), '"token":"([^"]+)"|Authorization: Bearer (\S+)', 'IgnoreCase') |
        ForEach-Object { $_.Groups[1].Value + $_.Groups[2].Value } | Sort-Object -Unique
}

function Get-CanaryValue {
    # The values of tokens that passed a tap.
    param($Tap)
    [regex]::Matches((Get-CanaryTraffic $Tap), '"value":"([^"]+)"') | ForEach-Object { $_.Groups[1].Value } | Sort-Object -Unique
}

function Format-CanaryError {
    # All that an error record can be made to tell.
    param($Record)
    $Record | Format-List * -Force | Out-String -Width 10000
    "$Record"
    foreach ($part in $Record.Exception, $Record.InvocationInfo, $Record.ErrorDetails, $Record.CategoryInfo, $Record.TargetObject) {
        if ($null -eq $part) { continue }
        $part | Format-List * -Force | Out-String -Width 10000
    }
    $Record.Exception.ToString()
    $Record.Exception.Data | Format-List * -Force | Out-String -Width 10000
    foreach ($key in $Record.Exception.Data.Keys) { "$key $($Record.Exception.Data[$key])" }
    "$($Record.ScriptStackTrace) $($Record.FullyQualifiedErrorId) $($Record.InvocationInfo.Line) $($Record.InvocationInfo.PositionMessage)"
    foreach ($key in $Record.InvocationInfo.BoundParameters.Keys) { "$key $($Record.InvocationInfo.BoundParameters[$key])" }
    [System.Management.Automation.PSSerializer]::Serialize($Record, 2)
}

function Format-CanaryObject {
    param($Value)
    if ($null -eq $Value) { return }
    $Value | Format-List * -Force | Out-String -Width 10000
    $Value | Out-String -Width 10000
    ConvertTo-Json $Value -Depth 5 -WarningAction SilentlyContinue
    [System.Management.Automation.PSSerializer]::Serialize($Value, 5)
}

function Invoke-Canary {
    # Runs a script in a runspace with every stream open, and returns everything that came out as texts, with the ids of
    # the errors. $Until stops it, as Ctrl-C does, once it is true of the shell.
    param([System.Management.Automation.Runspaces.Runspace] $Runspace, [string] $Script, [scriptblock] $Until)
    $shell = [powershell]::Create($Runspace)
    $shell.AddScript($Script) | Out-Null
    $output = [System.Management.Automation.PSDataCollection[psobject]]::new()
    $settings = [System.Management.Automation.PSInvocationSettings]::new()
    $settings.AddToHistory = $true
    $records = @()
    $running = $shell.BeginInvoke([System.Management.Automation.PSDataCollection[psobject]]::new(), $output, $settings, $null, $null)
    if ($Until) {
        foreach ($try in 1..400) {
            if ($running.IsCompleted -or (& $Until $shell)) { break }
            [System.Threading.Thread]::Sleep(25)
        }
        $shell.Stop()
    }
    else {
        try { $null = $shell.EndInvoke($running) }
        catch { $records += $_; $records += $_.Exception.InnerException.ErrorRecord }
    }
    $streams = $shell.Streams
    $records += @($streams.Error)
    $after = [powershell]::Create($Runspace)
    $left = $after.AddScript('$Error; $Error.Clear(); Get-History | Format-List * -Force | Out-String -Width 10000; Get-UssConnection; if (Get-Module Vap) { Get-VapConnection }').Invoke()
    $after.Dispose()
    $lines = @($streams.Verbose) + @($streams.Debug) + @($streams.Warning) + @($streams.Information) | ForEach-Object { "$_" }
    $progress = @($streams.Progress)
    $texts = @(
        foreach ($one in $output) { Format-CanaryObject $one }
        $lines
        $progress | Format-List * -Force | Out-String -Width 10000
        foreach ($one in $records + @($left)) {
            if ($one -is [System.Management.Automation.ErrorRecord]) { Format-CanaryError $one }
            elseif ($one -is [string]) { $one }
            else { Format-CanaryObject $one }
        }
    )
    [pscustomobject] @{
        Texts = $texts; Messages = @($records | ForEach-Object { "$_" }); Lines = $lines; Progress = $progress.Count; State = "$($shell.InvocationStateInfo.State)"
        Ids = @($records | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | ForEach-Object FullyQualifiedErrorId | Sort-Object -Unique)
    }
    $shell.Dispose()
}

# ---- What the test files of both modules ask. $runspace and Get-Secret are theirs.

function New-CanaryRunspace {
    # Where failing scripts run, with these variables, every stream open, and these modules imported.
    param([hashtable] $Variables, [string[]] $Modules)
    $runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
    $runspace.Open()
    $all = $Variables + @{ VerbosePreference = 'Continue'; DebugPreference = 'Continue'; InformationPreference = 'Continue'; modules = $Modules }
    foreach ($name in $all.Keys) { $runspace.SessionStateProxy.SetVariable($name, $all[$name]) }
    Invoke-Canary $runspace 'Import-Module $modules' | Out-Null
    $runspace
}

function Confirm-NoSecret {
    # Runs a script that fails, and looks for every secret in all that came of it.
    param([string] $Script, [string[]] $Ids, [scriptblock] $Until)
    $all = Invoke-Canary $runspace $Script -Until $Until
    if ($Ids) { $all.Ids | Should -Be ($Ids | Sort-Object) -Because "$($all.Messages)" }
    $all.Texts.Count | Should -BeGreaterThan 2
    Find-Canary (Get-Secret) $all.Texts | Should -BeNullOrEmpty
    $all
}

function Set-CanaryAnswer {
    # What an echoing server says.
    param($Tap, [string] $Status, [string[]] $Headers, [string] $Body)
    $Tap.Answers.Text = (@("HTTP/1.1 $Status", 'Connection: close') + $Headers + @('', '') -join "`r`n") + $Body
}

function Confirm-NoSecretAtRest {
    # That servers keep no secret in a file.
    param([hashtable] $Secrets, [string[]] $Folders)
    $files = @(Get-ChildItem $Folders -Recurse -File -Force)
    "$($files.Name)" | Should -Match '\.db'
    foreach ($file in $files) {
        $stream = [System.IO.FileStream]::new($file.FullName, 'Open', 'Read', 'ReadWrite, Delete')
        $bytes = [byte[]]::new($stream.Length)
        $stream.ReadExactly($bytes, 0, $bytes.Length)
        $stream.Dispose()
        Find-Canary $Secrets (, $bytes) | Should -BeNullOrEmpty -Because $file.FullName
    }
}

function Measure-CanaryShell {
    # How often each text is in the memory of a PowerShell after a script, in which $c is a credential and $s its secret.
    # Neither a command line nor a variable of the environment holds the secret: it is put together inside.
    param([string] $Module, [string] $Secret, [string] $Script, [string[]] $Texts)
    $mask = 0x55
    $codes = @($Secret.ToCharArray() | ForEach-Object { [int] $_ -bxor $mask }) -join ','
    $made = "Import-Module '$Module'; `$s = [securestring]::new(); foreach (`$x in $codes) { `$s.AppendChar([char] (`$x -bxor $mask)) }; `$c = [pscredential]::new('anna', `$s)"
    $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
    foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', "$made; $Script; `$s.Dispose(); `$c = `$null; [Console]::Out.WriteLine('READY'); [void] [Console]::In.ReadLine()") { $start.ArgumentList.Add($argument) }
    $start.RedirectStandardOutput = $start.RedirectStandardInput = $true
    $process = [System.Diagnostics.Process]::Start($start)
    try {
        do { $line = $process.StandardOutput.ReadLine() } until ($line -eq 'READY' -or $null -eq $line)
        $line | Should -Be 'READY'
        $found = Measure-CanaryMemory $process.Id $Texts
        $found.Bytes | Should -BeGreaterThan 10MB
        $found
    }
    finally {
        $process.StandardInput.Close()
        $process.WaitForExit()
    }
}
