// RuntimeTests: the team of threads, the program that runs steps, instruction sets.
// Not here: where threads run (RuntimePlacesTests), memory (MemoryTests).
import CRengaKernels
import Glibc
import XCTest

/// What a counting step reads and writes; arrays have one entry a thread.
private struct CountArguments {
    var step: Int64
    var marks: UnsafeMutablePointer<Int64>  // how many steps each thread has done
    var faults: UnsafeMutablePointer<Int64>  // how often each thread found another one ahead or behind
    var stop: UnsafeMutablePointer<Int32>
    var stopAt: Int64  // the step that raises the stop flag
}

private func count(_ raw: UnsafeRawPointer?, _ team: UnsafePointer<rk_team>?) {
    guard let raw, let team else { return }
    let arguments = raw.load(as: CountArguments.self)
    let (tid, nth) = (Int(team.pointee.tid), Int(team.pointee.nth))
    for other in 0..<nth where arguments.marks[other] != arguments.step { arguments.faults[tid] += 1 }
    rk_team_barrier(team)
    arguments.marks[tid] = arguments.step + 1
    if tid == 0 && arguments.step == arguments.stopAt { arguments.stop.pointee = 1 }
}

final class RuntimeTests: XCTestCase {
    private struct Outcome {
        var result: Int32
        var stepsDone: Set<Int64>  // by the threads that took part
        var threads: Int
        var clean: Bool
        var seconds: [Double]
    }

    /// Runs counting steps on a team.
    private static func runCounting(steps: Int, threads: Int32, stopAt: Int64 = -1) -> Outcome {
        let marks = Guarded<Int64>(count: Int(RK_MAX_THREADS), repeating: 0)
        let faults = Guarded<Int64>(count: Int(RK_MAX_THREADS), repeating: 0)
        let stop = Guarded<Int32>(count: 1, repeating: 0)
        let seconds = Guarded<Double>(count: steps, repeating: 0)
        let arguments = (0..<steps).map {
            CountArguments(
                step: Int64($0), marks: marks.pointer, faults: faults.pointer, stop: stop.pointer, stopAt: stopAt)
        }
        let result = arguments.withUnsafeBufferPointer { all in
            let program = all.indices.map { i in
                rk_step(run: { count($0, $1) }, args: all.baseAddress.map { UnsafeRawPointer($0 + i) }, enabled: nil)
            }
            return rk_run(program, steps, threads, seconds.pointer, stop.pointer)
        }
        let done = marks.values.filter { $0 != 0 }
        let clean = faults.values.allSatisfy { $0 == 0 } && marks.isIntact && faults.isIntact && seconds.isIntact
        return Outcome(
            result: result, stepsDone: Set(done), threads: done.count, clean: clean, seconds: seconds.values)
    }

    func testStepsRunInOrderOnAnyTeam() {
        for threads: Int32 in [1, 2, 3, 4, 7] {
            let outcome = Self.runCounting(steps: 500, threads: threads)
            XCTAssertEqual(outcome.result, 0)
            XCTAssertEqual(outcome.stepsDone, [500], "\(threads) threads")
            XCTAssertTrue(outcome.clean, "\(threads) threads")
            XCTAssertLessThanOrEqual(outcome.threads, Int(threads))
        }
    }

    func testTeamIsAsLargeAsAsked() {
        XCTAssertEqual(Self.runCounting(steps: 3, threads: 4).threads, 4)
        XCTAssertEqual(Self.runCounting(steps: 3, threads: 0).threads, 1)
        XCTAssertLessThanOrEqual(Self.runCounting(steps: 1, threads: .max).threads, Int(RK_MAX_THREADS))
    }

    func testStopFlagEndsTheProgramForAllThreads() {
        for threads: Int32 in [1, 2, 4] {
            for stopAt: Int64 in [0, 1, 98] {
                let outcome = Self.runCounting(steps: 100, threads: threads, stopAt: stopAt)
                XCTAssertEqual(outcome.result, 1)
                XCTAssertEqual(outcome.stepsDone, [stopAt + 1], "\(threads) threads")
                XCTAssertTrue(outcome.clean)
            }
        }
        // Raised by the last step: nothing is left to skip.
        XCTAssertEqual(Self.runCounting(steps: 100, threads: 2, stopAt: 99).result, 0)
        var raised: Int32 = 1
        XCTAssertEqual(rk_run(nil, 0, 2, nil, &raised), 1)
        XCTAssertEqual(rk_run(nil, 0, 2, nil, nil), 0)
    }

    func testSecondsAreTheStepsTimes() {
        var seconds: [Double] = [1, 2]
        let nap: rk_step_fn = { _, _ in usleep(50_000) }
        let idle: rk_step_fn = { _, _ in }
        let steps = [nap, idle].map { rk_step(run: $0, args: nil, enabled: nil) }
        for threads: Int32 in [1, 2] {
            seconds = [1, 2]
            XCTAssertEqual(rk_run(steps, 2, threads, &seconds, nil), 0)
            XCTAssertGreaterThanOrEqual(seconds[0], 1.05)
            XCTAssertGreaterThanOrEqual(seconds[1], 2)
            XCTAssertLessThan(seconds[1] - 2, seconds[0] - 1, "the nap was booked on the wrong step")
        }
    }

    func testClosedStepsAreSkippedByAllThreads() {
        struct Switch {
            var runs: UnsafeMutablePointer<Int32>
            var cell: UnsafeMutablePointer<Int32>
            var value: Int32
        }
        // A step counts its runs, by every thread, and sets the cell that later steps depend on.
        let flip: rk_step_fn = { raw, team in
            guard let raw, let team else { return }
            let arguments = raw.load(as: Switch.self)
            arguments.runs[Int(team.pointee.tid)] += 1
            if team.pointee.tid == 0 { arguments.cell.pointee = arguments.value }
        }
        for threads: Int32 in [1, 2, 4] {
            let runs = Guarded<Int32>(count: 5 * Int(RK_MAX_THREADS), repeating: 0)
            let cells = Guarded<Int32>(count: 2, repeating: 0)
            cells.pointer[0] = 1
            // Step 1 closes what step 2 depends on; step 4 depends on a cell that step 3, skipped, would have opened.
            let depends: [Int?] = [0, nil, 0, 0, 1]
            let writes = [(1, 0), (0, 0), (0, 1), (1, 1), (0, 1)].map { (cell: $0.0, value: Int32($0.1)) }
            let arguments = writes.indices.map {
                Switch(
                    runs: runs.pointer + $0 * Int(RK_MAX_THREADS), cell: cells.pointer + writes[$0].cell,
                    value: writes[$0].value)
            }
            arguments.withUnsafeBufferPointer { all in
                let program = all.indices.map { i in
                    rk_step(
                        run: flip, args: all.baseAddress.map { UnsafeRawPointer($0 + i) },
                        enabled: depends[i].map { UnsafePointer(cells.pointer + $0) })
                }
                XCTAssertEqual(rk_run(program, program.count, threads, nil, nil), 0)
            }
            let counts = (0..<5).map { step in
                (0..<Int(threads)).map { runs.values[step * Int(RK_MAX_THREADS) + $0] }.reduce(0, +)
            }
            XCTAssertEqual(counts, [threads, threads, 0, 0, 0], "\(threads) threads")
            XCTAssertTrue(runs.isIntact && cells.isIntact)
        }
    }

    /// Each share of each step is done once and after all of the step before, also where threads of the team come late or stand still.
    func testEveryShareIsDoneOnceWhoeverDoesIt() {
        struct Share {
            var step: Int
            var done: UnsafeMutablePointer<Int32>  // [steps][RK_MAX_THREADS]
            var early: UnsafeMutablePointer<Int32>  // shares begun before the step before had ended
        }
        let run: rk_step_fn = { raw, team in
            guard let raw, let team else { return }
            let share = raw.load(as: Share.self)
            let (tid, nth) = (Int(team.pointee.tid), Int(team.pointee.nth))
            let own = share.done + share.step * Int(RK_MAX_THREADS)
            if share.step > 0 {
                let before = own - Int(RK_MAX_THREADS)
                for other in 0..<nth where before[other] != 1 { share.early[tid] += 1 }
            }
            if (share.step * 7 + tid) % 13 == 0 { usleep(1_000) }
            own[tid] += 1
        }
        let steps = 60
        for threads: Int32 in [1, 2, 4, 7] {
            let done = Guarded<Int32>(count: steps * Int(RK_MAX_THREADS), repeating: 0)
            let early = Guarded<Int32>(count: Int(RK_MAX_THREADS), repeating: 0)
            let shares = (0..<steps).map { Share(step: $0, done: done.pointer, early: early.pointer) }
            shares.withUnsafeBufferPointer { all in
                let program = all.indices.map { i in
                    rk_step(run: run, args: all.baseAddress.map { UnsafeRawPointer($0 + i) }, enabled: nil)
                }
                usleep(5_000)  // workers of the run before sleep again
                XCTAssertEqual(rk_run(program, steps, threads, nil, nil), 0)
            }
            for step in 0..<steps {
                let row = (0..<Int(threads)).map { done.values[step * Int(RK_MAX_THREADS) + $0] }
                XCTAssertEqual(row, [Int32](repeating: 1, count: Int(threads)), "step \(step), \(threads) threads")
            }
            XCTAssertEqual(early.values.reduce(0, +), 0, "\(threads) threads")
            XCTAssertTrue(done.isIntact && early.isIntact)
        }
    }

    func testSeveralCallersAtOnce() {
        let threads = (0..<4).compactMap { _ in
            Spawned {
                (0..<10).allSatisfy { _ in
                    let outcome = Self.runCounting(steps: 50, threads: 3)
                    return outcome.clean && outcome.stepsDone == [50]
                }
            }
        }
        XCTAssertEqual(threads.count, 4)
        XCTAssertEqual(threads.map { $0.join() }, [true, true, true, true])
    }

    func testShareCoversEverythingOnce() {
        for count: Int64 in [0, 1, 2, 7, 64, 1001] {
            for nth: Int32 in [1, 2, 3, 5, 8] {
                var next: Int64 = 0
                for tid in 0..<nth {
                    var team = rk_team(tid: tid, nth: nth, barrier: nil)
                    var (begin, end): (Int64, Int64) = (0, 0)
                    rk_share(count, &team, &begin, &end)
                    XCTAssertEqual(begin, next)
                    XCTAssertTrue((count / Int64(nth)...count / Int64(nth) + 1).contains(end - begin))
                    next = end
                }
                XCTAssertEqual(next, count)
            }
        }
    }

    /// A child of fork has only the thread that called it: its first program must build a team anew.
    func testChildAfterForkRunsAgain() throws {
        // Not offered to Swift by name, because of what else may not survive it; this child calls nothing but C.
        // `.ci/sanitize` leaves this test out of the thread sanitizer's run, which forbids threads after fork.
        typealias Fork = @convention(c) () -> Int32
        let fork = try XCTUnwrap(dlsym(nil, "fork").map { unsafeBitCast($0, to: Fork.self) })
        XCTAssertEqual(Self.runCounting(steps: 5, threads: 3).threads, 3)
        let child = fork()
        if child == 0 {
            alarm(20)
            _exit(Self.runCounting(steps: 50, threads: 3).stepsDone == [50] ? 0 : 1)
        }
        XCTAssertGreaterThan(child, 0)
        var status: Int32 = -1
        XCTAssertEqual(waitpid(child, &status, 0), child)
        XCTAssertEqual(status, 0, "the child failed or hung")
        XCTAssertEqual(Self.runCounting(steps: 5, threads: 3).threads, 3)
    }

    /// The workers go to sleep soon after a run instead of spinning for OpenMP's 200 ms.
    func testNoThreadSpinsAfterARun() {
        guard getenv("KMP_BLOCKTIME") == nil && getenv("OMP_WAIT_POLICY") == nil else { return }
        func processorSeconds() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
            return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
        }
        XCTAssertEqual(Self.runCounting(steps: 2, threads: 2).threads, 2)
        let before = processorSeconds()
        usleep(150_000)
        XCTAssertLessThan(processorSeconds() - before, 0.05)
    }

    func testInstructionSetNamesLower() {
        for (i, isa) in supportedSets.enumerated() {
            XCTAssertEqual(rk_isa_lowered(isa.label), isa)
            XCTAssertEqual(rk_isa_lowered(isa.label + "x"), supportedSets[supportedSets.count - 1])
            XCTAssertLessThanOrEqual(i, Int(isa.rawValue))
        }
        XCTAssertEqual(rk_isa_lowered(nil), supportedSets.last)
        XCTAssertEqual(rk_isa_lowered(""), supportedSets.last)
    }

    func testInstructionSets() {
        XCTAssertEqual(supportedSets.first, RK_ISA_REFERENCE)
        XCTAssertNotEqual(rk_isa_supported(RK_ISA_GENERIC), 0)
        XCTAssertNotEqual(rk_isa_supported(rk_isa_best()), 0)
        XCTAssertEqual(rk_isa_supported(rk_isa(rawValue: 99)), 0)
        XCTAssertEqual(RK_ISA_AVX512.label, "avx512")
        XCTAssertEqual(RK_ISA_AVX512_BF16.label, "avx512_bf16")
        XCTAssertEqual(RK_ISA_AMX.label, "amx")
        XCTAssertEqual(rk_isa(rawValue: 99).label, "unknown")
    }
}
