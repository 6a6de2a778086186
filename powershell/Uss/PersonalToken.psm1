# The cmdlets of personal tokens: a person's sign-in, the tokens that their input names, and values that are shown once.
# Loaded with the first of them.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Session.psm1", "$PSScriptRoot/Command.psm1", "$PSScriptRoot/Operation.psm1", "$PSScriptRoot/Native.psm1" -Verbose:$false

# What a progress display says of a command.
$script:Activities = @{
    'tokens' = 'Reading tokens'; 'new-token' = 'Making a token'; 'set-token' = 'Changing tokens'; 'reset-token' = 'Resetting tokens'
    'copy-token' = 'Copying tokens'; 'revoke-token' = 'Revoking tokens'; 'remove-token' = 'Removing tokens'
}

function Find-UssTokenServer {
    # The server's address. A token cannot make tokens, so nothing but -Credential can sign in here.
    param($Cmdlet, $Bound)
    if ($null -eq $Bound['Credential']) {
        Stop-UssCmdlet $Cmdlet 'CredentialMissing' 'Tokens are managed with your password, not with a token, and -Credential was not given.' `
            'Give -Credential with the user name and password that you sign in with in the browser; Get-Credential asks for them.' 'AuthenticationError' 'Credential'
    }
    $server = Find-UssServer $Cmdlet $Bound $Bound['Server']
    if ($server -is [string]) { $server } else { $server.Server }
}

function Read-UssToken {
    # The id of a string, a dictionary or an object, and what a person is asked about.
    param($Cmdlet, $Element)
    if ($Element -is [string] -and $Element) { return $Element, "token $Element" }
    $id = Get-UssValue $Element 'Id'
    if (-not $id) {
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' "A $($Element.GetType().Name) names no token: it has no Id, but $(Get-UssName $Element)." `
            'Give ids, or objects that Get-UssPersonalToken returned.' 'InvalidArgument' $Element
    }
    $name = Get-UssValue $Element 'Name'
    $id
    if ($name) { "'$name' (token $id)" } else { "token $id" }
}

function Invoke-UssTokenCommand {
    # One command about tokens, as the person in -Credential.
    param($Cmdlet, $Bound, $Command, $Ids)
    foreach ($parameter in 'Id', 'Force') { [void] $Bound.Remove($parameter) }
    if ($Ids) { $Bound['Id'] = [string[]] @($Ids) }
    if ($Bound.ContainsKey('Name') -and $Command -ne 'tokens' -and -not $Bound['Name'].Trim()) {
        Stop-UssCmdlet $Cmdlet 'InvalidArgument' 'The name of a token is empty. Nothing was changed.' 'Give a name of 1 to 100 characters.' 'InvalidArgument' 'Name'
    }
    if ($Bound.ContainsKey('Description') -and -not $Bound['Description']) {
        # An empty field is as if it were not there; this one takes the description away.
        [void] $Bound.Remove('Description')
        if ($Command -ne 'new-token') { $Bound['NoDescription'] = [switch] $true }
    }
    $options = @(Read-UssOption $Cmdlet $Bound) + @('person', 'true')
    $connection = Open-UssServer $Cmdlet $Bound $options '' $Bound['Server']
    $patience = 1000
    try {
        $fields = Read-UssField $Cmdlet $Bound
        # One by one: a value that was shown must not be lost to an error after it.
        Invoke-UssOperation $Cmdlet $Bound $Command ($fields + @('connection', $connection.Id)) $script:Activities[$Command] | ForEach-Object {
            if ($_.PSTypeNames[0] -eq 'Uss.ShownToken') { Show-UssToken $Cmdlet $_ $Bound['AsPlainText'] } else { $_ }
        }
        $patience = $null
    }
    finally { Close-UssPerson $Cmdlet $Bound $connection $patience }
}

function Close-UssPerson {
    # Ends the session that the password began, and the native connection, whatever becomes of the first. After Ctrl-C or
    # an error nobody waits longer than $Patience milliseconds; the library goes on with it.
    param($Cmdlet, $Bound, $Connection, $Patience)
    try { Invoke-UssOperation $Cmdlet $Bound 'sign-out' @('connection', $Connection.Id) 'Signing out' -Limit $Patience }
    finally { Close-UssServer $Connection }
}

function Show-UssToken {
    # The token with its value as a property: a SecureString, unless plain text was asked for.
    param($Cmdlet, $Row, $AsPlainText)
    $native = Get-UssNative $Cmdlet
    $length = [int] $Row.Length
    $memory = [System.Runtime.InteropServices.Marshal]::AllocHGlobal(2 * $length)
    try {
        if ($native::uss_secret_take($Row.Secret, $memory, $length)) {
            Stop-UssCmdlet $Cmdlet 'InvalidHandle' "The value of the token '$($Row.Token.Name)' was not taken in time." 'Reset-UssPersonalToken gives the token a new value.' 'InvalidArgument' $Row.Token.Id
        }
        if ($AsPlainText) { $value = [System.Runtime.InteropServices.Marshal]::PtrToStringUni($memory, $length) }
        else {
            $value = [System.Security.SecureString]::new()
            for ($at = 0; $at -lt $length; $at++) {
                $value.AppendChar([char] ([System.Runtime.InteropServices.Marshal]::ReadInt16($memory, 2 * $at) -band 0xFFFF))
            }
            $value.MakeReadOnly()
        }
    }
    finally {
        [System.Runtime.InteropServices.Marshal]::Copy([byte[]]::new(2 * $length), 0, $memory, 2 * $length)
        [System.Runtime.InteropServices.Marshal]::FreeHGlobal($memory)
    }
    $token = $Row.Token
    $token.PSObject.Properties.Add([System.Management.Automation.PSNoteProperty]::new('Value', $value))
    # Its own view: a table has no room for a value that nobody shows again.
    $token.PSTypeNames.Insert(0, 'Uss.PersonalToken#Value')
    $token
}
