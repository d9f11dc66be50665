@echo off
rem Starts the CLI on the Node that is on PATH; it must be 24.12 or newer (see bin/headgate for the other platforms).
setlocal
set "root=%~dp0.."
for /f "tokens=1,2 delims=v." %%a in ('node --version 2^>nul') do (
  set "major=%%a"
  set "minor=%%b"
)
if not defined major goto old
if %major% LSS 24 goto old
if %major% EQU 24 if %minor% LSS 12 goto old
if "%~1"=="--node-path" (
  where node
  exit /b
)
if not defined NODE_COMPILE_CACHE set "NODE_COMPILE_CACHE=%LOCALAPPDATA%\headgate\compile"
if exist "%root%\src\cli\main.ts" (
  node --disable-warning=ExperimentalWarning "%root%\src\cli\main.ts" %*
) else (
  node --disable-warning=ExperimentalWarning "%root%\dist\cli.js" %*
)
exit /b %errorlevel%
:old
echo headgate: needs Node 24.12 or newer on PATH 1>&2
exit /b 1
