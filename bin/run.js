#!/usr/bin/env node
import * as module from 'node:module';
import { fileURLToPath } from 'node:url';

// Node ≥ 22 keeps compiled code between runs; it must be on before anything large is imported.
module.enableCompileCache?.();
const { main } = await import('../dist/cli/main.js');
await main(process.argv.slice(2), fileURLToPath(new URL('..', import.meta.url)));
