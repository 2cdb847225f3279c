import { copyFile, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '../..');

/**
 * Writes bench/gpu as one script without dependencies into `folder`/app, with what it loads by path: Dawn for this platform, the
 * Python script, birdbone's version. Needs a build. Returns the script.
 */
export async function bundleGpuBench(folder: string): Promise<string> {
  const app = path.join(folder, 'app');
  await build({
    absWorkingDir: root,
    entryPoints: ['bench/gpu/index.ts'],
    outfile: path.join(app, 'bench-gpu.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    conditions: ['import'],
    // Devices that are not measured, and what charts are drawn with.
    external: ['onnxruntime-node', '@tensorflow/tfjs-node-gpu', 'vega', 'esbuild', 'node-llama-cpp'],
    // CommonJS inside asks for Node's own modules.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);",
    },
    logLevel: 'warning',
  });
  const dawn = path.join(
    'dist',
    `${process.platform === 'darwin' ? 'darwin-universal' : `${process.platform}-${process.arch}`}`,
  );
  await mkdir(path.join(app, dawn), { recursive: true });
  const webgpu = path.dirname(createRequire(import.meta.url).resolve('webgpu'));
  await copyFile(path.join(webgpu, dawn, 'dawn.node'), path.join(app, dawn, 'dawn.node'));
  await copyFile(path.join(import.meta.dirname, 'torch_side.py'), path.join(app, 'torch_side.py'));
  await copyFile(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  return path.join(app, 'bench-gpu.mjs');
}
