// SPDX-License-Identifier: GPL-2.0
//
// A Logout Response whose Send was flushed (the initiator has it, and has ended the connection) has
// done what it is for. C puts its command, which stays on the connection's list and is put again.

// rule flushed deletes 1, adds 2
@flushed@
identifier wc, command;
@@
 	struct isert_cmd *command = tx_desc_to_cmd(...);
+	bool logout = command->iscsit_cmd->i_state == ISTATE_SEND_LOGOUTRSP;
 	...
-	if (unlikely(wc->status != IB_WC_SUCCESS)) {
+	if (unlikely(wc->status != IB_WC_SUCCESS) && !logout) {
 	isert_print_wc(wc, "send");
 	...
 	}
