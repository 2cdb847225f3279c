/**
 * Leads imports past the folders' index.ts. Within the sources a folder is reached through its index.ts alone; followed to the
 * letter, whoever needs the name of a dtype loads every operation of tensor/ and TensorFlow.js under it. What a module exports
 * does not depend on the way to it, and no module of ours does anything but export (package.json's `sideEffects`), so the bundle
 * and the tests load the file that has the name.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const STATEMENT = /^(import|export) \{([^{}]*)\} from '(\.[^']*)';$/gm;
const LAZY = /\bconst \{([^{}]*)\} = await import\('(\.[^']*)'\);/g;

/** The source of a module with each name it takes from an index.ts taken from the file that declares it; no line moves. */
export function withDirectImports(code, file) {
  return code
    .replace(STATEMENT, (statement, keyword, list, specifier) => {
      const parts = byFile(namesOf(list, ' as '), file, specifier);
      return replaced(statement, parts, (names, from) => `${keyword} { ${listOf(names, ' as ')} } from '${from}';`);
    })
    .replace(LAZY, (statement, list, specifier) => {
      const parts = byFile(namesOf(list, ': '), file, specifier);
      return replaced(statement, parts, (names, from) => `const { ${listOf(names, ': ')} } = await import('${from}');`);
    });
}

/** One statement for each file, on the lines of the one that they replace. */
function replaced(statement, parts, written) {
  if (parts === undefined) return statement;
  return parts.map(([from, names]) => written(names, from)).join(' ') + '\n'.repeat(statement.split('\n').length - 1);
}

/** The names of an import by the files that declare them; undefined where it is not of an index.ts. */
function byFile(names, file, specifier) {
  const index = path.resolve(path.dirname(file), specifier).replace(/\.js$/, '.ts');
  if (!specifier.endsWith('/index.js') || !existsSync(index)) return undefined;
  const parts = new Map();
  for (const { name, alias } of names) {
    const found = declarationOf(index, name);
    const from = specifierOf(file, found.file);
    parts.set(from, [...(parts.get(from) ?? []), { name: found.name, alias }]);
  }
  return [...parts];
}

function listOf(names, as) {
  return names.map(({ name, alias }) => (name === alias ? name : `${name}${as}${alias}`)).join(', ');
}

/** What is imported or exported by value: types leave nothing behind. */
function namesOf(list, as) {
  return list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !part.startsWith('type '))
    .map((part) => {
      const [name, alias = name] = part.split(as);
      return { name, alias };
    });
}

/** The file that declares a name of an index.ts, and what it is called there. */
function declarationOf(index, name) {
  const found = reExports(index).get(name);
  if (found === undefined) return { file: index, name };
  return found.file.endsWith('/index.ts') ? declarationOf(found.file, found.name) : found;
}

const known = new Map();

function reExports(index) {
  const before = known.get(index);
  if (before !== undefined) return before;
  const names = new Map();
  for (const [, keyword, list, specifier] of readFileSync(index, 'utf8').matchAll(STATEMENT)) {
    if (keyword !== 'export') continue;
    const file = path.resolve(path.dirname(index), specifier).replace(/\.js$/, '.ts');
    for (const { name, alias } of namesOf(list, ' as ')) names.set(alias, { file, name });
  }
  known.set(index, names);
  return names;
}

function specifierOf(from, to) {
  const relative = path.relative(path.dirname(from), to).replaceAll(path.sep, '/').replace(/\.ts$/, '.js');
  return relative.startsWith('.') ? relative : `./${relative}`;
}
