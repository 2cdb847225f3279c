import { markdownTable } from '../record.js';
import { type Failed, type GpuResults, isFailed, type ProductResult } from './results.js';

const UNMEASURED = 'unmeasured';

/** Operations a second that the f16 and the f32 product are to reach. */
const PRODUCT_TARGETS: Readonly<Record<string, number>> = { f32: 20e12, f16: 150e12 };

/** The tables of docs/performance.md. */
export function renderGpu(results: GpuResults): string {
  const { stages, torch, wholeJob = [] } = results;
  const { adapter } = stages;
  const device = adapter === undefined || isFailed(adapter) ? UNMEASURED : adapter.description;
  const peer = torch.missing === undefined ? `torch ${torch.torch}, ${torch.device}` : `no torch: ${torch.missing}`;
  return [
    `${device}${results.tiny ? '; **tiny sizes, to see that it runs: no figure here says how fast a GPU is**' : ''}. ${peer}.`,
    productTable(results),
    copyTable(results),
    blockTable(results),
    jobTable(results, wholeJob),
  ].join('\n\n');
}

function productTable({ stages, torch }: GpuResults): string {
  const { products } = stages;
  if (products === undefined || isFailed(products)) return failure('products', products);
  const size = ({ m, k, n }: ProductResult) => `[${m}, ${k}] · [${k}, ${n}]`;
  const rows = products.map((product) => [
    size(product),
    product.by === undefined ? product.way : `${product.way}, ${product.by}`,
    product.flops === undefined ? (product.missing ?? '') : tera(product.flops),
    ...['fp32', 'tf32', 'fp16', 'bf16'].map((way) => {
      const found = torch.products?.find((other) => other.way === way && size(other) === size(product));
      return found?.flops === undefined ? '–' : tera(found.flops);
    }),
    PRODUCT_TARGETS[product.way] === undefined ? '' : `≥ ${tera(PRODUCT_TARGETS[product.way]!)}`,
  ]);
  const header = ['product', 'ours', 'TFLOP/s', 'torch fp32', 'tf32', 'fp16', 'bf16', 'target'];
  return markdownTable(header, rows);
}

function copyTable({ stages, torch }: GpuResults): string {
  const { copies } = stages;
  if (copies === undefined || isFailed(copies)) return failure('copies', copies);
  const rows = (['hostToGpu', 'gpuToGpu', 'upload', 'read'] as const).map((way) => {
    const other = torch.copies?.[way === 'hostToGpu' ? 'pinnedUpload' : way];
    return [way, giga(copies[way]), other === undefined ? '–' : giga(other)];
  });
  return markdownTable(['copy', 'ours, GB/s', 'torch, GB/s'], rows);
}

function blockTable({ stages, torch }: GpuResults): string {
  const { block } = stages;
  if (block === undefined || isFailed(block)) return failure('block', block);
  const peer = (key: string) => (torch.block?.[key] === undefined ? '–' : `${torch.block[key].toFixed(3)} s`);
  const rows = block.windows.map(({ windows, forwardSeconds, gramSeconds, gramByBatchSeconds }) => [
    String(windows),
    `${forwardSeconds.toFixed(3)} s`,
    peer(`bf16Forward${windows}Windows`),
    peer(`fp32Forward${windows}Windows`),
    `${gramSeconds.toFixed(3)} s`,
    `${gramByBatchSeconds.toFixed(3)} s`,
    peer(`gram${windows}Windows`),
  ]);
  const header = ['windows', 'forward', 'torch bf16', 'torch fp32', 'forward and Gram', 'read by batch', 'torch fp32'];
  return `One block is on the GPU after ${block.loadSeconds.toFixed(3)} s.\n\n${markdownTable(header, rows)}`;
}

function jobTable({ stages, torch }: GpuResults, whole: NonNullable<GpuResults['wholeJob']>): string {
  const { jobs } = stages;
  if (jobs === undefined || isFailed(jobs)) return failure('jobs', jobs);
  const rows = Object.entries(jobs).map(([job, result]) => {
    const solver = torch.block?.[job];
    const all = whole.find((each) => each.job === job);
    const runs = isFailed(result as Failed)
      ? (result as Failed).failed
      : (result as Exclude<typeof result, Failed>).runs
          .map(({ windows, seconds }) => `${seconds.toFixed(2)} s (${windows})`)
          .join(', ');
    const target = all?.targetSeconds === undefined ? '' : `≤ ${all.targetSeconds} s`;
    return [
      job,
      runs,
      solver === undefined ? '–' : `${solver.toFixed(2)} s`,
      all ? `${all.seconds.toFixed(0)} s` : '–',
      target,
    ];
  });
  const header = ['job', 'one block (windows)', 'solving alone in torch', '32 blocks, 128 windows', 'target'];
  return markdownTable(header, rows);
}

function failure(name: string, result: Failed | undefined): string {
  return result === undefined ? `${name}: ${UNMEASURED}` : `${name}: failed: ${result.failed.split('\n')[0]}`;
}

function tera(flops: number): string {
  return (flops / 1e12).toPrecision(3);
}

function giga(bytesPerSecond: number): string {
  return (bytesPerSecond / 1e9).toPrecision(3);
}
