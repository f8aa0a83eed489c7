// RecomputationPlanner.swift: which values to drop behind the forward pass so that a training fits a byte budget at the least cost.
// Not here: what a stretch costs (RecomputationProblem), exact bytes (whoever calls), the second runs themselves (Recomputation).
//
// The steps are cut into stretches. Stretch s in mode m keeps k(s, m) bytes from its forward pass on, needs w(s, m) more in its backward
// passes and costs t(s, m) seconds of second runs. Backward runs from the last stretch to the first, freeing what they kept, so the peak is
// the maximum over s of k(1) + … + k(s) + w(s): dynamic programming over cuts with the Pareto front of (bytes kept so far, seconds)
// finds the stretches of least seconds below any estimated peak. Estimates become exact by measuring: a ladder of estimated peaks, from
// everything kept down to the least, gives candidates, each of which the real memory planner places; the cheapest that fits wins.
import Glibc
import RengaNetwork

/// A set of dropped values, measured.
package struct RecomputationCandidate: Equatable, Sendable {
    /// Dropped behind the forward pass.
    package var dropped: Set<ValueID>
    /// Bytes that the plan holds with it.
    package var bytes: Int
    /// Estimated seconds of second runs.
    package var seconds: Double
}

/// Chooses by measuring candidates.
package struct RecomputationPlanner {
    private static let rungs = 24
    private static let buckets = 32

    private let problem: RecomputationProblem
    /// By their end, a cut.
    private var stretches: [[Stretch]] = []
    private let measure: (Set<ValueID>) throws(RengaError) -> Int

    private struct Stretch {
        let begin: Int
        let mode: RetentionMode
        let cost: StretchCost
    }

    /// measure: exact bytes of the plan that drops these values.
    package init(_ problem: RecomputationProblem, measure: @escaping (Set<ValueID>) throws(RengaError) -> Int) {
        (self.problem, self.measure) = (problem, measure)
        let cuts = problem.cuts
        for end in cuts.indices {
            var ending: [Stretch] = []
            for begin in 0..<end {
                // Longer stretches that keep everything are sums of neighbours.
                for mode in RetentionMode.allCases where mode != .everything || end == begin + 1 {
                    let cost = problem.cost(of: cuts[begin]..<cuts[end], mode)
                    ending.append(Stretch(begin: begin, mode: mode, cost: cost))
                }
            }
            stretches.append(ending)
        }
    }

    /// The cheapest candidate of at most `budget` bytes; where there is none, the one of least bytes.
    package func choose(budget: Int) throws(RengaError) -> RecomputationCandidate {
        let plain = RecomputationCandidate(dropped: [], bytes: try measure([]), seconds: 0)
        if plain.bytes <= budget { return plain }
        let ladder = self.ladder()
        var known: [Int: RecomputationCandidate] = [:]
        func candidate(_ rung: Int) throws(RengaError) -> RecomputationCandidate {
            if let seen = known[rung] { return seen }
            let made = try measured(ladder[rung])
            known[rung] = made
            return made
        }
        // Exact bytes nearly fall along the ladder: halving finds the first rung that fits. Where they do not, all rungs are tried.
        var (low, high) = (0, ladder.count)
        while low < high {
            let middle = (low + high) / 2
            if try candidate(middle).bytes <= budget { high = middle } else { low = middle + 1 }
        }
        if !known.values.contains(where: { $0.bytes <= budget }) {
            for rung in ladder.indices { _ = try candidate(rung) }
        }
        let all = ladder.indices.compactMap { known[$0] }
        let fitting = all.filter { $0.bytes <= budget }
        return fitting.min { ($0.seconds, $0.bytes) < ($1.seconds, $1.bytes) }
            ?? all.min { $0.bytes < $1.bytes } ?? plain
    }

    // MARK: - Inside

    private struct Entry {
        var kept: Int
        var seconds: Double
        /// Where it came from: cut, entry there, mode.
        var cut = 0
        var entry = 0
        var mode = RetentionMode.everything
    }

    /// Estimated peaks to try, falling in equal ratios to the least that any choice of stretches has.
    private func ladder() -> [Int] {
        let most = peak(of: solve(Int.max))
        var (low, high) = (0, most)
        while high - low > max(most / 256, 1) {
            let middle = low + (high - low) / 2
            if solve(middle).last?.isEmpty == false { high = middle } else { low = middle }
        }
        let ratio = Double(high) / Double(max(most, 1))
        return (0..<Self.rungs).map { rung in
            let share = Double(rung) / Double(Self.rungs - 1)
            return rung == Self.rungs - 1 ? high : Int(Double(most) * pow(ratio, share))
        }
    }

    private func measured(_ limit: Int) throws(RengaError) -> RecomputationCandidate {
        let fronts = solve(limit)
        var dropped = Set<ValueID>()
        walk(fronts) { range, mode in dropped.formUnion(problem.dropped(in: range, mode)) }
        return RecomputationCandidate(
            dropped: dropped, bytes: try measure(dropped), seconds: fronts.last?.last?.seconds ?? 0)
    }

    /// At each cut the entries by rising bytes and falling seconds that stay within `limit` so far.
    private func solve(_ limit: Int) -> [[Entry]] {
        var fronts: [[Entry]] = [[Entry(kept: 0, seconds: 0)]]
        for ending in stretches.dropFirst() {
            var front = Front(buckets: Self.buckets, bytes: min(limit, problem.everything))
            for stretch in ending {
                let room = limit - stretch.cost.work - stretch.cost.kept
                for (index, entry) in fronts[stretch.begin].enumerated() {
                    guard entry.kept <= room else { break }
                    front.take(
                        Entry(
                            kept: entry.kept + stretch.cost.kept, seconds: entry.seconds + stretch.cost.seconds,
                            cut: stretch.begin, entry: index, mode: stretch.mode))
                }
            }
            fronts.append(front.entries)
        }
        return fronts
    }

    /// The best entry of each of a few ranges of bytes, and the one of least bytes: feasibility never depends on the ranges.
    private struct Front {
        private var best: [Entry?]
        private var least: Entry?
        private let width: Int

        init(buckets: Int, bytes: Int) {
            best = [Entry?](repeating: nil, count: buckets)
            width = max(bytes / buckets + 1, 1)
        }

        mutating func take(_ entry: Entry) {
            let bucket = min(entry.kept / width, best.count - 1)
            if entry.seconds < best[bucket]?.seconds ?? .infinity { best[bucket] = entry }
            guard let known = least else { return least = entry }
            if entry.kept < known.kept || (entry.kept == known.kept && entry.seconds < known.seconds) { least = entry }
        }

        /// What nothing else beats in both.
        var entries: [Entry] {
            var front: [Entry] = []
            if let least { front.append(least) }
            for case .some(let entry) in best where entry.seconds < front.last?.seconds ?? .infinity {
                front.append(entry)
            }
            return front
        }
    }

    /// The stretches of the cheapest solution, from the last to the first.
    private func walk(_ fronts: [[Entry]], _ body: (Range<Int>, RetentionMode) -> Void) {
        guard var entry = fronts.last?.last else { return }
        var end = fronts.count - 1
        while end > 0 {
            body(problem.cuts[entry.cut]..<problem.cuts[end], entry.mode)
            end = entry.cut
            entry = fronts[entry.cut][entry.entry]
        }
    }

    /// The estimated peak of the cheapest solution.
    private func peak(of fronts: [[Entry]]) -> Int {
        var stretches: [StretchCost] = []
        walk(fronts) { range, mode in stretches.append(problem.cost(of: range, mode)) }
        var (kept, peak) = (0, 0)
        for stretch in stretches.reversed() {
            kept += stretch.kept
            peak = max(peak, kept + stretch.work)
        }
        return peak
    }
}
