// SPDX-License-Identifier: GPL-2.0
//
// RDMA Reads that the peer has not answered are in the ORQ, whatever the transmit side does. A queue
// pair that goes from CLOSING or TERMINATE to ERROR completes them too: C leaves them there if the
// transmit side is idle, and ib_drain_qp() returns before they have completed.

// rule flush deletes 4, adds 2
@flush@
expression qp;
@@
- 	if (tx_wqe(qp)->wr_status != SIW_WR_IDLE)
- 		siw_sq_flush(qp);
+ 	siw_sq_flush(qp);
