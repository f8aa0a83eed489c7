// MemoryPlanner.swift: which buffers may share memory: lifetimes and sizes in, offsets out. A pure function.
// Not here: what the buffers hold, and any allocation.
import RengaNetwork

/// A buffer to be placed: alive from its first to its last step, both included.
package struct MemoryRequest: Equatable, Sendable {
    /// First step that touches it.
    package var first: Int
    /// Last step that touches it; at least `first`.
    package var last: Int
    /// Size; rounded up to the alignment.
    package var bytes: Int

    /// Describes a buffer.
    package init(first: Int, last: Int, bytes: Int) {
        self.first = first
        self.last = last
        self.bytes = bytes
    }
}

/// Where each buffer lies in one arena.
package struct MemoryLayoutPlan: Equatable, Sendable {
    /// Byte offset of each request, in their order.
    package let offsets: [Int]
    /// Bytes of the arena.
    package let peak: Int
    /// The most bytes alive at any one step: no placement can need less.
    package let lowerBound: Int
}

/// Places buffers by size, largest first, each into the smallest gap that holds it among those alive at the same time
/// (greedy by size, best fit: Pisarchyk and Lee 2020).
package enum MemoryPlanner {
    /// Plans `requests`. Sizes are rounded up to `alignment`. Sums that overflow are an error.
    package static func plan(_ requests: [MemoryRequest], alignment: Int = 64) throws(RengaError) -> MemoryLayoutPlan {
        let sizes = try roundedSizes(requests, alignment)
        // Ties: earlier first, so that a plan never depends on the sort.
        let order = requests.indices.sorted {
            (sizes[$0], requests[$1].first, $1) > (sizes[$1], requests[$0].first, $0)
        }
        var offsets = [Int](repeating: 0, count: requests.count)
        var placed = LivePeriods(requests)
        var peak = 0
        for index in order where sizes[index] > 0 {
            let neighbours = placed.overlapping(index).sorted { offsets[$0] < offsets[$1] }
            let offset = bestFit(sizes[index], neighbours, offsets, sizes)
            let (end, overflow) = offset.addingReportingOverflow(sizes[index])
            guard !overflow else { throw tooLarge() }
            offsets[index] = offset
            peak = max(peak, end)
            placed.insert(index)
        }
        return MemoryLayoutPlan(offsets: offsets, peak: peak, lowerBound: try lowerBound(requests, sizes))
    }

    /// The offset of the smallest gap between `neighbours` (by rising offset) that holds `size`; behind them all where none does.
    private static func bestFit(_ size: Int, _ neighbours: [Int], _ offsets: [Int], _ sizes: [Int]) -> Int {
        var end = 0
        var best: (offset: Int, gap: Int)?
        for neighbour in neighbours {
            let gap = offsets[neighbour] - end
            if gap >= size, gap < best?.gap ?? Int.max { best = (end, gap) }
            // Placed without overflow, so this sum has none.
            end = max(end, offsets[neighbour] + sizes[neighbour])
        }
        return best?.offset ?? end
    }

    private static func roundedSizes(_ requests: [MemoryRequest], _ alignment: Int) throws(RengaError) -> [Int] {
        var sizes: [Int] = []
        sizes.reserveCapacity(requests.count)
        for request in requests {
            let (padded, overflow) = request.bytes.addingReportingOverflow(alignment - 1)
            guard !overflow, request.bytes >= 0, request.first <= request.last else { throw tooLarge() }
            sizes.append(padded / alignment * alignment)
        }
        return sizes
    }

    private static func lowerBound(_ requests: [MemoryRequest], _ sizes: [Int]) throws(RengaError) -> Int {
        // What is alive changes only where a buffer begins or has ended: sum up the changes in order of steps.
        var changes: [(step: Int, bytes: Int)] = []
        for (request, size) in zip(requests, sizes) {
            changes.append((request.first, size))
            changes.append((request.last + 1, -size))
        }
        // Ends before begins at the same step.
        changes.sort { ($0.step, $0.bytes) < ($1.step, $1.bytes) }
        var alive = 0
        var most = 0
        for change in changes {
            let (next, overflow) = alive.addingReportingOverflow(change.bytes)
            guard !overflow else { throw tooLarge() }
            alive = next
            most = max(most, alive)
        }
        return most
    }

    private static func tooLarge() -> RengaError {
        RengaError(.outOfMemory, "the buffers of the plan are larger than any memory")
    }
}

/// Requests put in one by one, found by when they are alive: in about as many operations as are found. What overlaps a request is alive
/// at its first step (a segment tree tells) or begins later, up to its last. Only first steps matter: they are numbered by rank.
private struct LivePeriods {
    /// By request: the ranks of its first step and of the last one, up to its end, at which any request begins.
    private let ranks: [(first: Int, last: Int)]
    /// What begins at each rank.
    private var beginning: [[Int]]
    /// The segment tree: what is alive at all ranks below a node, and not so at all ranks below its parent.
    private var alive: [[Int]]

    init(_ requests: [MemoryRequest]) {
        let steps = Set(requests.map(\.first)).sorted()
        ranks = requests.map { request in
            (LivePeriods.rank(of: request.first, in: steps), LivePeriods.rank(of: request.last, in: steps))
        }
        beginning = Array(repeating: [], count: steps.count)
        alive = Array(repeating: [], count: 2 * steps.count)
    }

    /// The index of the largest of `steps` that is at most `step`; the first is.
    private static func rank(of step: Int, in steps: [Int]) -> Int {
        var (low, high) = (0, steps.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if steps[middle] <= step { low = middle } else { high = middle }
        }
        return low
    }

    mutating func insert(_ index: Int) {
        beginning[ranks[index].first].append(index)
        var (left, right) = (ranks[index].first + beginning.count, ranks[index].last + beginning.count + 1)
        while left < right {
            if left % 2 == 1 {
                alive[left].append(index)
                left += 1
            }
            if right % 2 == 1 {
                right -= 1
                alive[right].append(index)
            }
            (left, right) = (left / 2, right / 2)
        }
    }

    /// What was put in and is alive in some step in which `index` is, in any order.
    func overlapping(_ index: Int) -> [Int] {
        var found: [Int] = []
        var node = ranks[index].first + beginning.count
        while node > 0 {
            found += alive[node]
            node /= 2
        }
        for rank in ranks[index].first..<ranks[index].last { found += beginning[rank + 1] }
        return found
    }
}
