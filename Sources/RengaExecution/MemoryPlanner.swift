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
        var placed: [Int] = []  // by rising offset
        var peak = 0
        for index in order where sizes[index] > 0 {
            let neighbours = placed.filter { overlap(requests[$0], requests[index]) }
            let offset = bestFit(sizes[index], neighbours, offsets, sizes)
            let (end, overflow) = offset.addingReportingOverflow(sizes[index])
            guard !overflow else { throw tooLarge() }
            offsets[index] = offset
            peak = max(peak, end)
            let place = placed.firstIndex { offsets[$0] > offset } ?? placed.endIndex
            placed.insert(index, at: place)
        }
        return MemoryLayoutPlan(offsets: offsets, peak: peak, lowerBound: try lowerBound(requests, sizes))
    }

    private static func overlap(_ a: MemoryRequest, _ b: MemoryRequest) -> Bool {
        a.first <= b.last && b.first <= a.last
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
