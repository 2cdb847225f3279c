import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { withDirectImports } from '../../scripts/direct-imports.mjs';

/** What has one state for the whole process: its current backend, the kernels that are registered, the tensors that live. */
const STATEFUL = /^(@tensorflow\/|#tfjs-gradients)/;
/** llama.cpp is started by the first test that asks for it, and ended behind the file that it stands in. */
const STARTED_ONCE = /\/test\/llama\/llama\.ts$/;
/** A test that looks at its own process would see what other files have left there: memory, open files. */
const OWN_PROCESS = /\bprocess\.(?:memoryUsage|resourceUsage)\b|\/proc\/self\//;
/** Values that are imported or exported from elsewhere, several on a line where an import of an index.ts was, and modules loaded later. */
const IMPORT = /(?:(?:^|; )(?:import|export) (?!type )(?:[^;']*? from )?|\bimport\()'([^']+)'/gm;

/**
 * Divides test files by what they can reach: those from which no import leads to TensorFlow.js can run one after another in one
 * process, with the modules that are loaded already, unless they measure it; the others each need a process of their own. Paths are
 * absolute.
 */
export function byProcess(files: readonly string[]): { readonly together: string[]; readonly apart: string[] } {
  const importers = new Map<string, string[]>();
  const stateful = walk(files, (file) => {
    const imports = importsOf(file);
    for (const local of imports.files) importers.set(local, [...(importers.get(local) ?? []), file]);
    return imports;
  }).filter(({ file, packages }) => STARTED_ONCE.test(file) || packages.some((name) => STATEFUL.test(name)));
  const reaching = new Set(
    walk(
      stateful.map(({ file }) => file),
      (file) => ({ file, files: importers.get(file) ?? [] }),
    ).map(({ file }) => file),
  );
  const isApart = (file: string) => reaching.has(file) || OWN_PROCESS.test(readFileSync(file, 'utf8'));
  return {
    together: files.filter((file) => !isApart(file)),
    apart: files.filter(isApart),
  };
}

/** What `look` finds at each file that can be come to from `starts`, each once. */
function walk<T extends { readonly files: readonly string[] }>(
  starts: readonly string[],
  look: (file: string) => T,
): T[] {
  const seen = new Set<string>();
  const found: T[] = [];
  const left = [...starts];
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const here = look(file);
    found.push(here);
    left.push(...here.files);
  }
  return found;
}

interface Imports {
  readonly file: string;
  readonly files: readonly string[];
  readonly packages: readonly string[];
}

function importsOf(file: string): Imports {
  const code = withDirectImports(readFileSync(file, 'utf8'), file);
  const specifiers = [...code.matchAll(IMPORT)].map(([, specifier = '']) => specifier);
  const local = specifiers
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => path.resolve(path.dirname(file), specifier).replace(/\.js$/, '.ts'));
  return {
    file,
    files: local.filter((name) => name.endsWith('.ts') && existsSync(name)),
    packages: specifiers.filter((specifier) => !specifier.startsWith('.')),
  };
}
