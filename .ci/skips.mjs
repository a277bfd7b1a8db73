// A Vitest reporter that says which tests were skipped and why: a gate without a reason shows.

export default class Skips {
  onTestCaseResult(test) {
    const { state, note } = test.result();
    if (state === "skipped") console.log(`skipped: ${test.fullName}: ${note ?? "NO REASON GIVEN"}`);
  }
}
