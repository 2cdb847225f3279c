/**
 * WGSL of the parameters of a `main`: `group` and `groups`, of which `workgroupJob` and `laneJob` make a number where workgroups were
 * folded (`foldWorkgroups`), and `lane`, this invocation's number in its workgroup.
 */
export const PLACE = `
      @builtin(workgroup_id) group: vec3u,
      @builtin(num_workgroups) groups: vec3u,
      @builtin(local_invocation_index) lane: u32,
    `;

const NUMBER = '(group.x + group.y * groups.x)';

/**
 * WGSL that names this workgroup's first job and leaves where it is `count` (an expression) or more, as folding rounds up. Each has
 * `each` jobs, one unless given. All lanes leave or none, so that barriers may follow.
 */
export function workgroupJob(name: string, count: string, each = 1): string {
  return `
      let ${name} = ${NUMBER}${each === 1 ? '' : ` * ${each}u`};
      if (${name} >= ${count}) { return; }`;
}

/** The same where each of a workgroup's `lanes` has a job of its own: no barrier may follow. */
export function laneJob(name: string, count: string, lanes: number): string {
  return `
      let ${name} = ${NUMBER} * ${lanes}u + lane;
      if (${name} >= ${count}) { return; }`;
}
