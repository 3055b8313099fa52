# Completes the command lines of config-backup in PowerShell. Printed by `config-backup completions powershell`.
# config-backup itself says what fits, so this file need not be renewed with it.

Register-ArgumentCompleter -Native -CommandName config-backup -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { if ($_.Value -is [string]) { $_.Value } else { $_.ToString() } })
    # Older versions do not pass an empty word on, so all words are one.
    $line = ($words + $wordToComplete) -join "`n"
    $lines = @(config-backup completions powershell -- $line 2>$null)
    if ($lines.Count -eq 0) {
        return
    }
    switch ($lines[0]) {
        'words' {
            $lines | Select-Object -Skip 1 | ForEach-Object {
                $value, $help = $_ -split "`t", 2
                $text = if ($value -match '[^\w./,+%@:=^-]') { "'" + $value.Replace("'", "''") + "'" } else { $value }
                if (-not $help) { $help = $value }
                [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $help)
            }
        }
        { $_ -in 'files', 'folders' } {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($wordToComplete)
        }
    }
}
