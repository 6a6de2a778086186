# The cmdlets of access tokens, and secrets in answers: each is taken from the library once, as a SecureString unless
# plain text was asked for. Loaded with the first that needs it.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Platform.psm1", "$PSScriptRoot/Native.psm1" -Verbose:$false

$script:Fields = @{ Description = 'description'; Scope = 'scope'; Method = 'method'; Name = 'name'; Search = 'search' }

function Invoke-VapTokenCommand {
    # One command of tokens. -Credential is a login and its password here: a token cannot make tokens.
    param($Cmdlet, $Bound, $Command, $Ids)
    $fields = @(foreach ($id in $Ids) { 'id', $id })
    foreach ($parameter in $script:Fields.Keys) {
        if ($Bound.ContainsKey($parameter)) { foreach ($value in $Bound[$parameter]) { $fields += $script:Fields[$parameter], $value } }
    }
    if ($Bound.ContainsKey('Expires')) { $fields += 'expires', $Bound['Expires'].ToUniversalTime().ToString('o') }
    if ($Bound['NeverExpires']) { $fields += 'neverExpires', 'true' }
    $confirm = $null
    try {
        if ($Bound.ContainsKey('Password')) {
            $password = $Bound['Password']
            if ($password -is [pscredential]) { $password = $password.Password }
            if ($password -isnot [securestring]) {
                Stop-UssCmdlet $Cmdlet 'InvalidArgument' '-Password takes a SecureString or a PSCredential.' 'Read-Host -AsSecureString asks for one.' 'InvalidArgument' 'Password'
            }
            $confirm = Open-UssConnection $Cmdlet @('server', 'https://localhost', 'user', 'secret') $password
            $fields += 'confirm', $confirm
        }
        # One by one: a value that was shown must not be lost to an error after it.
        Invoke-VapCommand $Cmdlet $Bound $Command $fields $true | ForEach-Object {
            if ($_.PSTypeNames[0] -ne 'Vap.ShownToken') { return $_ }
            $value = Read-VapSecret $Cmdlet $_ $Bound['AsPlainText']
            $token = $_.Token
            $token.PSObject.Properties.Add([System.Management.Automation.PSNoteProperty]::new('Value', $value))
            $token.PSTypeNames.Insert(0, 'Vap.Token#Value')
            $token
        }
    }
    finally { if ($null -ne $confirm) { Close-UssConnection $confirm } }
}

function Show-VapAnswer {
    # An answer with its secrets back in their places.
    param($Cmdlet, $Row, $AsPlainText)
    foreach ($secret in $Row.Secrets) {
        $value = Read-VapSecret $Cmdlet $secret $AsPlainText
        $place = $Row.Answer
        $names = $secret.Path.Split('.')
        for ($at = 0; $at -lt $names.Length - 1; $at++) { $place = $place.($names[$at]) }
        $place.($names[-1]) = $value
    }
    $Row.Answer
}

function Read-VapSecret {
    # The secret that a row names by Secret and Length.
    param($Cmdlet, $Row, $AsPlainText)
    $native = Get-UssNative $Cmdlet
    $length = [int] $Row.Length
    $memory = [System.Runtime.InteropServices.Marshal]::AllocHGlobal(2 * $length)
    try {
        if ($native::uss_secret_take($Row.Secret, $memory, $length)) {
            Stop-UssCmdlet $Cmdlet 'InvalidHandle' 'A secret of the answer was not taken in time.' 'Reset-VapToken gives a token a new value.' 'InvalidArgument'
        }
        if ($AsPlainText) { return [System.Runtime.InteropServices.Marshal]::PtrToStringUni($memory, $length) }
        $value = [System.Security.SecureString]::new()
        for ($at = 0; $at -lt $length; $at++) {
            $value.AppendChar([char] ([System.Runtime.InteropServices.Marshal]::ReadInt16($memory, 2 * $at) -band 0xFFFF))
        }
        $value.MakeReadOnly()
        $value
    }
    finally {
        [System.Runtime.InteropServices.Marshal]::Copy([byte[]]::new(2 * $length), 0, $memory, 2 * $length)
        [System.Runtime.InteropServices.Marshal]::FreeHGlobal($memory)
    }
}

function ConvertTo-VapJson {
    # Dictionaries and objects, arrays, plain values.
    param($Value)
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [bool] -or $Value -is [switch]) { if ($Value) { return 'true' } else { return 'false' } }
    if ($Value -is [datetime]) { $Value = $Value.ToUniversalTime().ToString('yyyy-MM-dd HH:mm:ss', [cultureinfo]::InvariantCulture) }
    if ($Value -is [string] -or $Value -is [char] -or $Value -is [guid] -or $Value -is [uri] -or $Value -is [enum]) {
        $text = [regex]::Replace("$Value", '["\\\x00-\x1f]', { param($found) '\u{0:x4}' -f [int] $found.Value[0] })
        return "`"$text`""
    }
    if ($Value -is [System.ValueType]) { return [string]::Format([cultureinfo]::InvariantCulture, '{0}', $Value) }
    if ($Value -is [System.Collections.IDictionary]) {
        $members = foreach ($key in $Value.Keys) { "$(ConvertTo-VapJson "$key"):$(ConvertTo-VapJson $Value[$key])" }
        return "{$($members -join ',')}"
    }
    if ($Value -is [System.Collections.IEnumerable]) {
        $elements = foreach ($element in $Value) { ConvertTo-VapJson $element }
        return "[$($elements -join ',')]"
    }
    $members = foreach ($property in $Value.PSObject.Properties) { "$(ConvertTo-VapJson $property.Name):$(ConvertTo-VapJson $property.Value)" }
    "{$($members -join ',')}"
}
