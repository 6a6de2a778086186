# A keyring for the tests: GNOME's, on a D-Bus and in a home of their own. A process finds it by the variables of its
# environment, so what uses it runs in a shell of its own.
Set-StrictMode -Version Latest

function Test-UssTestKeyring {
    # Whether the programs are there; `cargo xtask test` installs them.
    foreach ($program in 'dbus-daemon', 'dbus-send', 'gnome-keyring-daemon') {
        if (-not (Get-Command $program -CommandType Application -ErrorAction SilentlyContinue)) { return $false }
    }
    $true
}

function Start-UssTestKeyring {
    # A keyring that was made and opened with a password. Its home has a short name, as names of sockets have to be.
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-$([System.IO.Path]::GetRandomFileName())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $keyring = [pscustomobject] @{ Environment = @{ HOME = $folder; XDG_RUNTIME_DIR = $folder; XDG_DATA_HOME = "$folder/data"; DISPLAY = '' }; Bus = $null; Daemon = $null }
    $keyring.Bus = Start-UssTestProcess 'dbus-daemon' @('--session', '--nofork', '--print-address', '--address', "unix:path=$folder/bus") $keyring.Environment
    $keyring.Environment['DBUS_SESSION_BUS_ADDRESS'] = $keyring.Bus.StandardOutput.ReadLine()
    $keyring.Daemon = Start-UssTestProcess 'gnome-keyring-daemon' @('--foreground', '--components=secrets', '--unlock') $keyring.Environment
    $keyring.Daemon.StandardInput.Write('open sesame')
    $keyring.Daemon.StandardInput.Close()
    foreach ($try in 1..400) {
        if ((Send-UssTestBus $keyring 'org.freedesktop.DBus' '/org/freedesktop/DBus' 'org.freedesktop.DBus.NameHasOwner' 'string:org.freedesktop.secrets') -match 'boolean true') { return $keyring }
        [System.Threading.Thread]::Sleep(25)
    }
    throw 'the keyring does not come up'
}

function Start-UssTestProcess {
    param([string] $Program, [string[]] $Arguments, [hashtable] $Environment)
    $start = [System.Diagnostics.ProcessStartInfo]::new($Program)
    foreach ($argument in $Arguments) { $start.ArgumentList.Add($argument) }
    foreach ($name in $Environment.Keys) { $start.Environment[$name] = $Environment[$name] }
    $start.RedirectStandardInput = $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    [System.Diagnostics.Process]::Start($start)
}

function Send-UssTestBus {
    # What a service on the keyring's bus answers.
    param($Keyring, [string] $Service, [string] $Path)
    & dbus-send "--bus=$($Keyring.Environment['DBUS_SESSION_BUS_ADDRESS'])" --print-reply "--dest=$Service" $Path @args 2>&1 | Out-String
}

function Find-UssTestKeyringItem {
    # The keyring's items for an origin, asked of it by another program.
    param($Keyring, [string] $Origin)
    $answer = Send-UssTestBus $Keyring 'org.freedesktop.secrets' '/org/freedesktop/secrets' 'org.freedesktop.Secret.Service.SearchItems' "dict:string:string:service,uss,username,$Origin"
    @([regex]::Matches($answer, 'object path "(?<path>[^"]+)"') | ForEach-Object { $_.Groups['path'].Value })
}

function Lock-UssTestKeyring {
    param($Keyring)
    $answer = Send-UssTestBus $Keyring 'org.freedesktop.secrets' '/org/freedesktop/secrets' 'org.freedesktop.Secret.Service.Lock' 'array:objpath:/org/freedesktop/secrets/collection/login'
    if ($answer -notmatch 'collection/login') { throw "the keyring does not lock: $answer" }
}

function Stop-UssTestKeyring {
    process {
        foreach ($process in $_.Daemon, $_.Bus) {
            if ($null -eq $process -or $process.HasExited) { continue }
            $process.Kill()
            $process.WaitForExit()
        }
        Remove-Item $_.Environment['HOME'] -Recurse -Force
    }
}
