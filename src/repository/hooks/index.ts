export { type HookOptions, type HookReport, installHook, uninstallHook } from './install.js';
