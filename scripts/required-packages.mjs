/**
 * Loads packages of CommonJS by `require`. Node reads such a package twice where it is imported: once to find the names that it
 * exports, which takes a quarter of a second for the megabytes of TensorFlow.js, and once to run it. The names are found here instead,
 * while the code is bundled and before tests run.
 */
import { createRequire } from 'node:module';

const PACKAGES = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-backend-webgpu'];

const require = createRequire(import.meta.url);

/** An ES module that exports what a package does; `from` is an expression for the place that the package is looked up from. */
function requiring(name, from) {
  const names = Object.keys(require(name)).filter(
    (key) => /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) && key !== 'default',
  );
  return [
    "import { createRequire } from 'node:module';",
    `export const { ${names.join(', ')} } = createRequire(${from})(${JSON.stringify(name)});`,
  ].join('\n');
}

/** For esbuild: the package is looked up from where the bundle lies. */
export const requiredPackages = {
  name: 'required-packages',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(${PACKAGES.join('|')})$`);
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'required' }));
    onLoad({ filter, namespace: 'required' }, ({ path }) => ({ contents: requiring(path, 'import.meta.url') }));
  },
};

/** For Vite, which calls what is no file by a name that begins with \0. */
export const requiredPackagesInTests = {
  name: 'required-packages',
  enforce: 'pre',
  resolveId: (name) => (PACKAGES.includes(name) ? `\0${name}` : undefined),
  load: (id) => (PACKAGES.includes(id.slice(1)) ? requiring(id.slice(1), JSON.stringify(import.meta.url)) : undefined),
};
