; SPDX-License-Identifier: GPL-2.0-or-later
; The installer of the plug-in, made by windows.sh. NEVER RUN ON WINDOWS.
; makensis -DVERSION=1.2.3 -DFILES=FOLDER -DOUT=FILE.exe windows.nsi
Unicode true
Name "Matte for OBS ${VERSION}"
OutFile "${OUT}"
RequestExecutionLevel admin
SetCompressor /SOLID lzma
; Where OBS looks for the plug-ins of all users: C:\ProgramData\obs-studio\plugins
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\matte-nodes-obs"
LicenseData "${FILES}/LICENSE.txt"
Page license
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

Section
  SetShellVarContext all
  StrCpy $INSTDIR "$APPDATA\obs-studio\plugins\matte-nodes"
  SetOutPath "$INSTDIR"
  ; The interpreter that `matte install obs` named stays: data\install.json is not among these.
  File /r "${FILES}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${UNINSTALL}" "DisplayName" "Matte for OBS"
  WriteRegStr HKLM "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  ; Where matte is installed for this user already, the plug-in learns of it now.
  nsExec::ExecToLog 'matte install obs --binary "$INSTDIR\bin\64bit\matte-nodes.dll"'
  Pop $0
  StrCmp $0 "0" done
    MessageBox MB_OK|MB_ICONINFORMATION "The plug-in is in place. It needs the Python package matte-nodes: see $INSTDIR\README.txt, from step 2." /SD IDOK
  done:
SectionEnd

Section "Uninstall"
  SetShellVarContext all
  StrCpy $INSTDIR "$APPDATA\obs-studio\plugins\matte-nodes"
  RMDir /r "$INSTDIR\bin"
  RMDir /r "$INSTDIR\data"
  Delete "$INSTDIR\LICENSE.txt"
  Delete "$INSTDIR\README.txt"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${UNINSTALL}"
  MessageBox MB_OK|MB_ICONEXCLAMATION "OBS now shows the raw camera wherever the filter Matte was: remove those sources." /SD IDOK
SectionEnd
