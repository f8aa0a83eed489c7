// RecomputationProblem.swift: what keeping or recomputing a stretch of fused steps costs in bytes and seconds. A pure function of the
// steps, their sizes and costs. Not here: which stretches there are in the end (RecomputationPlanner), exact bytes (ArenaPlan).
import RengaNetwork

/// What the choice knows of one fused step.
package struct RecomputationStep: Sendable {
    /// The value that it makes.
    package var output: ValueID
    /// What its forward pass reads.
    package var reads: [ValueID]
    /// What its backward pass reads.
    package var backwardReads: [ValueID]
    /// Multiply-accumulates of its forward pass.
    package var macs: Int
    /// Estimated time of its forward pass.
    package var seconds: Double

    /// Describes a step.
    package init(output: ValueID, reads: [ValueID], backwardReads: [ValueID], macs: Int, seconds: Double) {
        (self.output, self.reads, self.backwardReads) = (output, reads, backwardReads)
        (self.macs, self.seconds) = (macs, seconds)
    }
}

/// What a stretch of steps keeps for its backward passes besides what crosses its end.
enum RetentionMode: Int, CaseIterable {
    /// All values: nothing runs twice.
    case everything
    /// Results of multiply-accumulates: norms, activations and the like run twice, which costs little.
    case products
    /// Nothing: the whole stretch runs twice.
    case nothing
}

/// What a stretch costs in one mode. Bytes are estimates: gradients are counted as if none took another's place.
struct StretchCost {
    /// Alive from the stretch's forward pass on.
    var kept = 0
    /// Besides, at the worst of its backward passes.
    var work = 0
    /// Of second runs.
    var seconds = 0.0
}

/// Fused steps in order, with everything that the choice derives from them once.
package struct RecomputationProblem {
    let steps: [RecomputationStep]
    let bytes: [Int]
    /// Bytes of all values that steps make.
    let everything: Int
    /// Places between steps where a stretch may end: 0, …, steps.count.
    let cuts: [Int]
    /// The step that makes a value, or -1.
    private let maker: [Int]
    /// The last step whose forward pass reads a value, or that makes it.
    private let lastReader: [Int]
    /// First and last step (in forward order) whose backward pass reads a value; nil where none does.
    private let backwardReaders: [ClosedRange<Int>?]
    /// Gradients alive during the backward pass of each step.
    private let gradients: [Int]

    /// bytes: of each value. mostCuts: bounds the time of the choice, which grows with its cube.
    package init(_ steps: [RecomputationStep], bytes: [Int], mostCuts: Int = 40) {
        (self.steps, self.bytes) = (steps, bytes)
        everything = steps.reduce(0) { $0 + bytes[$1.output] }
        var maker = [Int](repeating: -1, count: bytes.count)
        var lastReader = [Int](repeating: -1, count: bytes.count)
        var backwardReaders = [ClosedRange<Int>?](repeating: nil, count: bytes.count)
        for (index, step) in steps.enumerated() {
            maker[step.output] = index
            for value in step.reads + [step.output] { lastReader[value] = index }
            for value in step.backwardReads {
                backwardReaders[value] = (backwardReaders[value]?.lowerBound ?? index)...index
            }
        }
        (self.maker, self.lastReader, self.backwardReaders) = (maker, lastReader, backwardReaders)
        var changes = [Int](repeating: 0, count: steps.count + 2)
        for value in bytes.indices where maker[value] >= 0 {
            changes[maker[value] + 1] += bytes[value]
            changes[lastReader[value] + 1] -= bytes[value]
        }
        var crossing: [Int] = []
        var alive = 0
        for change in changes.dropLast() {
            alive += change
            crossing.append(alive)
        }
        gradients = steps.enumerated().map { index, step in
            let begun = step.reads.reduce(0) { $0 + (lastReader[$1] == index && maker[$1] >= 0 ? bytes[$1] : 0) }
            return max(crossing[index + 1], bytes[step.output]) + begun
        }
        cuts = RecomputationProblem.cuts(crossing, steps.count, mostCuts)
    }

    /// In each of `most` windows of equal length the place that the fewest bytes cross: what crosses a cut is kept.
    private static func cuts(_ crossing: [Int], _ count: Int, _ most: Int) -> [Int] {
        let windows = min(max(most, 1), max(count, 1))
        var cuts = [0]
        for window in 0..<windows {
            let range =
                (window * count / windows + 1)...max((window + 1) * count / windows, window * count / windows + 1)
            let best = range.min { (crossing[$0], $0) < (crossing[$1], $1) }
            if let best, best < count { cuts.append(best) }
        }
        return cuts + [count]
    }

    /// What steps `range` cost in `mode`.
    func cost(of range: Range<Int>, _ mode: RetentionMode) -> StretchCost {
        var cost = StretchCost()
        /// The step whose backward pass first needs a value that is recomputed, by step from the range's begin.
        var neededBy = [Int](repeating: -1, count: range.count)
        var alive = [Int](repeating: 0, count: range.count + 1)
        var borrowed = Set<ValueID>()
        for index in range.reversed() {
            let step = steps[index]
            let place = index - range.lowerBound
            let readers = backwardReaders[step.output]
            let need = max(neededBy[place], readers?.upperBound ?? -1)
            guard need >= 0 else { continue }
            guard isDropped(index, mode, before: range.upperBound) else {
                cost.kept += bytes[step.output]
                continue
            }
            cost.seconds += step.seconds
            let first = min(need, range.upperBound - 1) - range.lowerBound
            let last = max(min(readers?.lowerBound ?? need, need) - range.lowerBound, 0)
            alive[first + 1] -= bytes[step.output]
            alive[min(last, first)] += bytes[step.output]
            for value in step.reads where maker[value] >= 0 {
                if maker[value] >= range.lowerBound {
                    neededBy[maker[value] - range.lowerBound] = max(neededBy[maker[value] - range.lowerBound], need)
                } else if backwardReaders[value] == nil, borrowed.insert(value).inserted {
                    // Kept by nobody but this stretch.
                    cost.kept += bytes[value]
                }
            }
        }
        var now = 0
        for index in range {
            now += alive[index - range.lowerBound]
            cost.work = max(cost.work, now + gradients[index])
        }
        return cost
    }

    /// The values of steps `range` that `mode` does not keep.
    func dropped(in range: Range<Int>, _ mode: RetentionMode) -> [ValueID] {
        range.filter { isDropped($0, mode, before: range.upperBound) }.map { steps[$0].output }
    }

    private func isDropped(_ index: Int, _ mode: RetentionMode, before end: Int) -> Bool {
        guard mode != .everything, lastReader[steps[index].output] < end else { return false }
        return mode == .nothing || steps[index].macs == 0
    }
}
